"""Claims of the `vertical` components."""

from collections.abc import Sequence

from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.advice import doubts
from veilflow.components.vertical.split.account import figure_deviation
from veilflow.components.vertical.split.declare import Declaration
from veilflow.components.vertical.split.settings import (
    DELTA,
    EPSILON,
    FROM_EPSILON,
    PER_EXAMPLE,
    SUMMED,
    Optimiser,
    Settings,
)

LABEL_LEAK_AUC = "1.00"
"""AUC of reading labels off per-example gradients (`split.clear.label_leak`), measured on breast-cancer rows with the
default model; a test holds it to this."""


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


def _sizes(value: object) -> tuple[int, ...]:
    return tuple(int(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


class SplitTrainClaims(Claims):
    """Who computes, and what the choice of release gives away."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        # With an SPU every party of the SPU computes; which those are is known at run time, so all are named.
        return node.parties if _release(node) == SUMMED else _holders(node)

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        at = node.parties if _release(node) == SUMMED else _holders(node)
        return {"model": Artifact("model", at, _label(node)), "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        holders, keeper = _holders(node), _keeper(node)
        common = [PUBLISHED, Send("published", holders, kind="bytes", max_bytes=16)]
        if _release(node) == SUMMED:
            return [
                *common,
                Send("shares", holders, kind="bytes", max_bytes=1 << 30),
                Send("opened", to=holders, kind="bytes", max_bytes=1 << 26, times="openings"),
            ]
        return [
            *common,
            _rows("embedding", holders, keeper, ("batch", None), "steps"),
            _rows("gradient", keeper, holders, ("batch", None), "steps"),
            _rows("validation embedding", holders, keeper, ("valid_rows", None), "epochs"),
        ]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        holders, label = _holders(node), _label(node)
        keeper = (label,) if label else ()
        others = tuple(party for party in holders if party != label) or holders
        per_example = _release(node) == PER_EXAMPLE
        lines = self._per_example(keeper, others) if per_example else self._summed(node, holders)
        validated = node.one("valid") is not None
        if _release(node) == SUMMED:
            figures, note = "a mean squared error of the rows of every epoch", _figure_noise(node)
            figures += ", and one of the validation rows" if validated else ""
        else:
            figures, note = "the training loss of every epoch", "means over all rows"
            figures += ", and the validation rows' loss and AUC" if validated else ""
        public = Disclosure((ALL,), f"{figures}; row count, model shape and settings", holders, note, "metric")
        order = Disclosure(
            (ALL,), "which row positions make up each batch", (), "random, and not of one party's choosing", "row_order"
        )
        return [*lines, public, order]

    def protections(self, node: NodeView) -> list[Protection]:
        """Of ``summed``: the secret programs run at every party, and each says what it took part in.

        ``per_example`` has none of them: its clip and noise settings have no effect, and a minimum batch protects
        nobody whose every row is sent.
        """
        if _release(node) != SUMMED:
            return []
        settings = _settings(node)
        found = [
            Protection("minimum_batch", node.parties, {"minimum": settings.minimum_batch}),
            Protection("clip", node.parties, {"bound": settings.clip}),
        ]
        noise = _multiplier(settings)
        if noise:
            found.append(Protection("noise", node.parties, {"deviation": noise * settings.clip}))
            cost = settings.spent()
            found.append(Protection("epsilon", node.parties, {"label": cost.label, "record": cost.record}))
        return found

    def warnings(self, node: NodeView) -> list[str]:
        if _release(node) != SUMMED:
            return ["release: per_example tells feature parties the label of every row; use summed to keep them."]
        settings = _settings(node)
        if _multiplier(settings) is None:
            return []  # `problems` says why
        remedy = (
            f"set epsilon to {EPSILON:g} or less and leave noise out. Where the model is then worth little, "
            "vertical/secret_train opens no gradients."
        )
        return doubts(settings.spent().label, "one person's label", remedy)

    def problems(self, node: NodeView) -> list[str]:
        found = []
        params = node.params
        try:
            Declaration(
                release=_release(node),
                layers=_sizes(params.get("bottom/layers")),
                activation=str(params.get("bottom/activation", "relu")),
                by_party=_strings(params.get("bottom/by_party")),
                module=str(params.get("bottom/module") or ""),
                arguments=str(params.get("bottom/arguments") or "{}"),
                top_layers=_sizes(params.get("top/layers")),
                top_activation=str(params.get("top/activation", "relu")),
            ).check()
        except ComponentError as problem:
            found.append(str(problem))
        try:
            _settings(node).check()
        except ComponentError as problem:
            found.append(str(problem))
        table = node.one("table")
        if table is not None and len(table.parties) == 1:
            found.append(f"'table' lies at {table.parties[0]} only; split learning needs features at two parties.")
        if table is not None and len(table.parties) > 1 and table.label_party is None:
            found.append("no party of 'table' holds the label; name it with 'label' in data/read_table.")
        return found

    def _summed(self, node: NodeView, holders: tuple[str, ...]) -> list[Disclosure]:
        settings = _settings(node)
        noise = _multiplier(settings)
        if noise:
            protected = (
                f"each row cut to L2 norm {settings.clip:g}; every holder adds Gaussian noise of {noise:g} x "
                f"{settings.clip:g}: over the whole training {settings.spent().in_words()}, against all other holders "
                "together. Every other training on the same people costs as much again, and so does every attempt "
                "without checkpoints: no ledger adds them up. A small table may be too noisy for that: the step says "
                "so before it starts, and vertical/secret_train opens no gradients"
            )
        else:
            protected = (
                f"each row cut to L2 norm {settings.clip:g}, NO noise: many batches together can say much about a row, "
                "its label included"
            )
        batch = f"at least {node.params.get('minimum_batch', '?')} rows"
        return [
            Disclosure(
                (party,),
                f"the gradient of its own bottom, summed over each batch of {batch}",
                tuple(other for other in holders if other != party),
                protected,
                "gradient_sum",
            )
            for party in holders
        ]

    def _per_example(self, keeper: tuple[str, ...], others: tuple[str, ...]) -> list[Disclosure]:
        return [
            Disclosure(
                others,
                "the LABEL of every training row",
                keeper,
                f"each row's gradient is sent back, and its direction is the label: measured AUC {LABEL_LEAK_AUC} with "
                "one known row. Use release: summed to keep labels secret",
                "label",
            ),
            Disclosure(
                keeper,
                "the embedding of every row, in every epoch",
                others,
                "features can be reconstructed from embeddings as far as they are correlated",
                "features",
            ),
            Disclosure(keeper, "the top model", others, kind="model"),
        ]


class SplitPredictClaims(Claims):
    """One party learns the scores."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        model = node.one("model")
        working = {*(model.parties if model else node.parties), _receiver(node) or ""}
        return tuple(party for party in node.parties if party in working) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        receiver = _receiver(node)
        at = (receiver,) if receiver else ()
        table = node.one("data")
        label = receiver if table is not None and table.label_party == receiver else None
        return {"scores": Artifact("table", at, label), "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        receiver, model = _receiver(node), node.one("model")
        to = (receiver,) if receiver else (ALL,)
        keeper = (model.label_party,) if model is not None and model.label_party else (ALL,)
        return [
            PUBLISHED,
            Send("shares", kind="bytes", max_bytes=1 << 30),
            Send("opened", to=to, kind="bytes", max_bytes=1 << 26, times="openings"),
            _rows("embedding", (ALL,), keeper, ("rows", None), 1),
            _rows("score", keeper, to, ("rows",), 1),
        ]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        table, receiver = node.one("data"), _receiver(node)
        about = tuple(p for p in (table.parties if table else ()) if p != receiver)
        to = (receiver,) if receiver else (ALL,)
        note = "a score depends on every party's features"
        lines = [Disclosure(to, "the model's score of every row", about, note, "score")]
        lines.append(Disclosure((ALL,), "row count", table.parties if table else (), kind="row_count"))
        model = node.one("model")
        # A model of release: per_example lies at the data holders only; so does one of a two-party SPU.
        if model is not None and model.label_party and table is not None and set(model.parties) <= set(table.parties):
            note = "if the model was trained with release: per_example; with summed nobody sees embeddings"
            about = tuple(p for p in model.parties if p != model.label_party)
            what = "the embedding of every row, and its score"
            lines.append(Disclosure((model.label_party,), what, about, note, "features"))
        return lines

    def protections(self, node: NodeView) -> list[Protection]:
        receiver = _receiver(node)
        return [Protection("scores_to_one_party", node.parties, {"receiver": receiver} if receiver else {})]


def _settings(node: NodeView) -> Settings:
    """What of the settings can be checked before a run; the optimisers have nothing to check."""
    given, optimiser = node.params, Optimiser("adam", 0.01)
    return Settings(
        release=_release(node),
        epochs=int(given.get("epochs", 20)),
        batch=int(given.get("batch_size", 1024)),
        minimum_batch=int(given.get("minimum_batch", 32)),
        clip=float(given.get("clip", 2.0)),
        noise=float(given.get("noise", FROM_EPSILON)),
        bottom_optimiser=optimiser,
        top_optimiser=optimiser,
        epsilon=float(given.get("epsilon", EPSILON)),
        delta=float(given.get("delta", DELTA)),
    )


def _multiplier(settings: Settings) -> float | None:
    """The noise in units of ``clip``; None where the settings are wrong."""
    try:
        settings.check()
        return settings.multiplier()
    except ComponentError:
        return None


def _figure_noise(node: NodeView) -> str:
    noise = _multiplier(_settings(node))
    if not noise:
        return "means over all rows, NO noise"
    return f"each holder adds noise of {figure_deviation(noise):g} to the sum over all rows; in the epsilon above"


def _keeper(node: NodeView) -> tuple[str, ...]:
    label = _label(node)
    return (label,) if label else node.parties


def _rows(
    what: str, sender: tuple[str, ...], to: tuple[str, ...], shape: tuple[str | None, ...], times: str | int
) -> Send:
    return Send(what, sender, to, "array", "float32", shape, max_bytes=1 << 30, times=times)


def _release(node: NodeView) -> str:
    return str(node.params.get("release") or SUMMED)


def _holders(node: NodeView) -> tuple[str, ...]:
    table = node.one("table")
    return table.parties if table and table.parties else node.parties


def _label(node: NodeView) -> str | None:
    table = node.one("table")
    return table.label_party if table else None


def _receiver(node: NodeView) -> str | None:
    named = _strings(node.params.get("receiver"))
    model = node.one("model")
    return named[0] if named else (model.label_party if model else None)


CLAIMS: dict[str, Claims] = {
    "vertical/split_train": SplitTrainClaims(),
    "vertical/split_predict": SplitPredictClaims(),
}
