"""Names and sentences: what a run did, in plain words."""

from collections.abc import Sequence

from veilflow.pipelines.ledger import Node, Run
from veilflow.pipelines.report.numbers import count, scalar, seconds, size

STATUS = {"ok": "Finished", "failed": "Failed", "refused": "Refused", "running": "Unfinished"}
STEP_STATUS = {"ran": "ran", "cached": "from cache", "failed": "failed", "skipped": "not reached"}
EXIT_CODES = {
    1: "a bug in VeilFlow or a component",
    2: "wrong usage of the command",
    3: "an invalid pipeline file",
    4: "a party failed",
    5: "refused by policy",
}
HEADLINES = (
    "auc",
    "test_auc",
    "accuracy",
    "test_accuracy",
    "f1",
    "ks",
    "precision",
    "recall",
    "r2_score",
    "r2",
    "mse",
    "rmse",
)
_NAMES = {
    "auc": "AUC",
    "f1": "F1",
    "ks": "KS",
    "brier": "Brier score",
    "r2": "R²",
    "r2_score": "R²",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
}


def label(name: str) -> str:
    """A metric's or column's name for a reader: ``log_loss`` -> ``log loss``, ``auc`` -> ``AUC``."""
    return _NAMES.get(name) or " ".join(_NAMES.get(word, word) for word in name.split("_"))


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plural(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def component(identifier: str) -> str:
    """``vertical/split_train:1.0.0`` -> ``vertical/split_train``."""
    return identifier.split(":", 1)[0]


def headline(run: Run) -> tuple[Node, list[str]] | None:
    """The last step with figures of merit, and the names of its first four, best known first."""
    for node in reversed(run.nodes):
        names = [name for name in HEADLINES if name in node.metrics]
        if names:
            return node, names[:4]
    return None


def summary(run: Run) -> list[str]:
    """The run in a few sentences."""
    sentences = [_outcome(run), _cache(run), _traffic(run)]
    best = headline(run) if run.status == "ok" else None
    if best:
        node, (first, *_) = best
        # ``rows`` of a step that also holds rows out counts those it trained on
        rows = None if first.startswith("test_") else node.metrics.get("rows")
        on = f" on {plural(rows, 'row')}" if isinstance(rows, int) and not isinstance(rows, bool) else ""
        sentences.append(f"Step {node.name} reports {label(first)} {scalar(node.metrics[first])}{on}.")
    return [sentence for sentence in sentences if sentence]


def _outcome(run: Run) -> str:
    total, took = len(run.nodes), seconds(run.seconds)
    done = sum(node.status in ("ran", "cached") for node in run.nodes)
    steps = "The only step" if total == 1 else f"All {count(total)} steps"
    if run.status == "ok":
        if run.mode == "party":
            return f"{steps} finished in {took}, as seen by {run.party}, one of {listed(run.parties)}."
        return f"{steps} finished in {took}, with {listed(run.parties)} simulated on one machine."
    progress = f"{count(done)} of {plural(total, 'step')} done"
    if run.status == "running":
        return f"The run was still going when this page was written, after {took}: {progress}."
    if run.status == "refused" and not done:
        return "The run was refused before any step began; nothing was computed and nothing was sent."
    what = "was refused" if run.status == "refused" else "stopped"
    where = f" at step {run.error.node}" if run.error and run.error.node else ""
    return f"The run {what}{where} after {took}, with {progress}."


def _cache(run: Run) -> str:
    cached = sum(node.status == "cached" for node in run.nodes)
    if not cached:
        return ""
    if cached == len(run.nodes):
        return "Every step came from the cache: nothing had changed."
    them = "it" if cached == 1 else "them"
    return f"{plural(cached, 'step')} came from the cache, because nothing about {them} had changed."


def _traffic(run: Run) -> str:
    sent = total_sent(run)
    if not any(sent.values()):
        return ""
    if run.mode == "party":
        return f"This party sent {size(sum(sent.values()))}."
    return f"The parties sent each other {size(sum(sent.values()))}."


def total_sent(run: Run) -> dict[str, int]:
    """Bytes each party sent in all steps together, in the order of parties."""
    return {party: sum(node.bytes_sent.get(party, 0) for node in run.nodes) for party in run.parties}
