"""Claims of the components that make, train on and predict from secret tables, and of the image encoder before them."""

from collections.abc import Sequence
from dataclasses import replace

from veilflow.components.claims import (
    ALL,
    COUNT,
    PADDING,
    PEOPLE,
    PUBLISHED,
    Artifact,
    Claims,
    Disclosure,
    NodeView,
    Protection,
    Send,
)
from veilflow.components.data.names import require_free
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.advice import doubts
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.encode.settings import PCA, EncoderSettings
from veilflow.components.vertical.secret.declare import declare, is_logistic
from veilflow.components.vertical.secret.opening import (
    DEFAULT_EPSILON,
    LIFETIME_EPSILON,
    MAX_HIDDEN_EPSILON,
    MINIMUM_CLASS,
    MINIMUM_ROWS,
    OPENED_MODEL_TELLS,
    PADDING_IS_NOT_SCORED,
)
from veilflow.components.vertical.secret.settings import Settings
from veilflow.components.vertical.split.model import Dense

_SHARES = Send("shares", kind="bytes", max_bytes=1 << 31)
_TOKENS = Send("published", kind="bytes", max_bytes=16)
"""Everybody's part of the randomness behind the order of rows."""


class ShareTableClaims(Claims):
    """Holders send shares to the ranks; nobody opens anything."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        data = node.one("data")
        # Who is in it is known from the alignment before; how many of them count is the mask's owner's to know.
        hidden = (COUNT,) if node.params.get("mask") or node.params.get("weight") else ()
        return {
            "table": Artifact(
                "secret_table", node.parties, data.label_party if data else None, data.parties if data else (), hidden
            ),
            "report": Artifact("report"),
        }

    def discloses(self, node: NodeView) -> list[Disclosure]:
        data = node.one("data")
        about = data.parties if data else ()
        return [
            Disclosure((ALL,), "row count, column names, which columns are features or label", about, kind="row_count")
        ]

    def sends(self, node: NodeView) -> list[Send]:
        data = node.one("data")
        return [PUBLISHED, replace(_SHARES, sender=data.parties if data and data.parties else (ALL,))]

    def protections(self, node: NodeView) -> list[Protection]:
        return [Protection("secret_shares", node.parties)]


class SecretTrainClaims(Claims):
    """Nothing but means over many rows is opened, and the model where the file says so."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        table = node.one("table")
        label = table.label_party if table else None
        about, hidden = (table.owners, table.hidden) if table else ((), ())
        return {"model": Artifact("model", node.parties, label, about, hidden), "report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        table = node.one("table")
        about = table.owners if table else ()
        hidden, budget = table.hidden if table else (), _settings(node).figures
        watching = strings(node.params.get("metrics_to")) or (ALL,)
        opened = strings(node.params.get("open_to"))
        figures = "training loss and accuracy, estimated by epoch from a random sample of rows"
        if float(node.params.get("test_fraction") or 0):
            figures += "; loss, accuracy and AUC of the rows held out"
        epsilon = budget.epsilon if hidden else 0.0
        counted = COUNT in hidden and (PADDING in hidden or PEOPLE not in hidden)
        note = f"never over fewer than {MINIMUM_ROWS} people"
        if hidden:
            presence = "one person's presence" if counted else "one person more or less"
            another = "another row" if counted else "a person's presence (how many there are is known) or another row"
            note += (
                f", nor over fewer than {MINIMUM_CLASS} of a class but once in 20 times, from counts with noise: "
                f"{epsilon:g}-differentially private for {presence}, "
                f"{2 * epsilon:g} for {another}; how a row moved the model is not counted: who gives one person "
                "values and a label that contradict may see it in the loss"
            )
        lines = [Disclosure(watching, figures, about, note, "metric", epsilon)]
        if hidden and ALL not in watching:
            what = "whether people are enough, of each class, too, and numbers plausible"
            note = "follows from the same counts with noise, so every party is charged for them (lifetime_epsilon)"
            lines.append(Disclosure((ALL,), what, about, note, "metric"))
        if counted:
            what = "how many people are behind the figures, with noise"
            lifetime = float(node.params.get("lifetime_epsilon", LIFETIME_EPSILON))
            limit = f"up to epsilon {lifetime:g} in all (lifetime_epsilon)" if lifetime else "without a limit in all"
            note = (
                f"{epsilon:g}-differentially private for one person's presence, over all figures of this step; trained "
                f"again it tells more, {limit}: above {MAX_HIDDEN_EPSILON:g} the number is all but known"
            )
            lines.append(Disclosure(watching, what, about, note, "overlap_count", epsilon))
        if table is not None and PEOPLE in hidden and not table.bounded:
            what = "whether a person is common, if a holder gave that person values far from all others'"
            note = "such a row moves the model and its figures visibly; set bound in the alignment"
            lines.append(Disclosure(watching, what, about, note, "membership"))
        for party in opened:
            note = "parameters say something about the rows they were fitted to; no noise is added"
            lines.append(Disclosure((party,), "the trained model", about, note, kind="model"))
        order = "which positions make up a batch or are held out"
        lines.append(Disclosure((ALL,), order, (), "nobody knows whose row stands at a position", kind="row_order"))
        return lines

    def sends(self, node: NodeView) -> list[Send]:
        # Random start values come from the SPU's parties; figures and the model go to who may open them.
        watching = strings(node.params.get("metrics_to"))
        to = (*watching, *strings(node.params.get("open_to"))) if watching else (ALL,)
        opened = Send("opened", to=to, kind="bytes", max_bytes=1 << 26, times="openings")
        return [PUBLISHED, _TOKENS, _SHARES, opened]

    def protections(self, node: NodeView) -> list[Protection]:
        spec = _spec(node)
        table, settings = node.one("table"), _settings(node)
        found = [
            Protection("minimum_rows", node.parties, {"people": MINIMUM_ROWS, "per_class": MINIMUM_CLASS}),
            Protection("stays_shares", node.parties, {"opened_to": list(strings(node.params.get("open_to")))}),
        ]
        clip = float(node.params.get("clip", 1.0))
        if clip and spec is not None and not is_logistic(spec):
            found.append(Protection("clip", node.parties, {"bound": clip}))
        if table and table.hidden:
            lifetime = float(node.params.get("lifetime_epsilon", LIFETIME_EPSILON))
            noise = {
                "epsilon": settings.epsilon,
                "evaluations": settings.figures.evaluations,
                "lifetime_epsilon": lifetime,
            }
            found.append(Protection("figure_noise", node.parties, noise))
        return found

    def warnings(self, node: NodeView) -> list[str]:
        table, lifetime = node.one("table"), float(node.params.get("lifetime_epsilon", LIFETIME_EPSILON))
        hidden, budget = table.hidden if table else (), _settings(node).figures
        remedy = f"leave epsilon at {DEFAULT_EPSILON:g}; more people, or fewer estimates (evaluate_every), need less."
        found = doubts(budget.epsilon, "one person in the figures", remedy) if hidden else []
        if not (COUNT in hidden and PADDING in hidden) or 0 < lifetime <= MAX_HIDDEN_EPSILON:
            return found
        limit = f"is {lifetime:g}" if lifetime else "has no limit"
        return [
            *found,
            f"lifetime_epsilon {limit}: trainings repeated up to it all but tell how many people are common, which the "
            f"alignment hides. Set it to {MAX_HIDDEN_EPSILON:g} or less, or use hide_count: rounded, where figures "
            "tell nothing of the number.",
        ]

    def problems(self, node: NodeView) -> list[str]:
        found = []
        try:
            _declared(node)
        except ComponentError as problem:
            found.append(str(problem))
        table = node.one("table")
        hidden = table.hidden if table else ()
        try:
            _settings(node).check()
            if hidden:
                _settings(node).figures.check(COUNT in hidden)
        except ComponentError as problem:
            found.append(str(problem))
        if {PEOPLE, COUNT} <= set(hidden) and strings(node.params.get("open_to")):
            found.append(OPENED_MODEL_TELLS)
        return found


class SecretPredictClaims(Claims):
    """One party learns the scores, and with `with_label` the labels."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        receiver = _receiver(node)
        at = (receiver,) if receiver else ()
        data = node.one("data")
        labelled = bool(node.params.get("with_label")) or (data is not None and data.label_party == receiver)
        hidden = (PEOPLE,) if data is not None and PEOPLE in data.hidden else ()
        about = data.owners if data is not None and hidden else ()
        scores = Artifact("table", at, receiver if labelled else None, about, hidden)
        return {"scores": scores, "report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        data, model, receiver = node.one("data"), node.one("model"), _receiver(node)
        about = tuple(party for party in (data.owners if data else ()) if party != receiver)
        to = (receiver,) if receiver else (ALL,)
        note = "a score depends on every holder's features; of a secret table nobody knows whose row it is"
        lines = [Disclosure(to, "the model's score of every row", about, note, kind="score")]
        if node.params.get("with_label"):
            note = "next to its score, not next to a person"
            lines.append(Disclosure(to, "the label of every scored row of the secret table", about, note, "label"))
        if data is not None and PEOPLE in data.hidden:
            what = "whether a person is in the table, if it gave that person a label or values that stand out"
            note = "scores are of single people; only of those that are common for certain by the number of rows"
            lines.append(Disclosure(to, what, about, note, "membership"))
        if model is not None and COUNT in model.hidden:
            what = "what a model's exact scores tell of how many people it was trained on"
            note = (
                "enough scores of known rows give its parameters; scores after alignments whose inputs differ, or are "
                "normalised otherwise, are of different people, who could be counted; no bound is claimed"
            )
            lines.append(Disclosure(to, what, model.owners, note, "overlap_count"))
        lines.append(Disclosure((ALL,), "how many rows are scored", data.owners if data else (), kind="row_count"))
        return lines

    def problems(self, node: NodeView) -> list[str]:
        data = node.one("data")
        if data is None or PADDING not in data.hidden:
            return []
        return [PADDING_IS_NOT_SCORED]

    def sends(self, node: NodeView) -> list[Send]:
        receiver = _receiver(node)
        to = (receiver,) if receiver else (ALL,)
        return [PUBLISHED, _SHARES, Send("opened", to=to, kind="bytes", max_bytes=1 << 26, times="openings")]

    def protections(self, node: NodeView) -> list[Protection]:
        receiver = _receiver(node)
        return [Protection("scores_to_one_party", node.parties, {"receiver": receiver} if receiver else {})]


class EncodeClaims(Claims):
    """Everything happens at the party that owns the images."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return strings(node.params.get("party")) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        at = self.takes_part(node)
        label = at[0] if node.params.get("label") else None
        return {"table": Artifact("table", at, label), "encoder": Artifact("rule", at), "report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        what = "row count, names of the embedding's columns, size of the images"
        return [Disclosure((ALL,), what, self.takes_part(node), kind="row_count")]

    def sends(self, node: NodeView) -> list[Send]:
        return [PUBLISHED]

    def problems(self, node: NodeView) -> list[str]:
        try:
            EncoderSettings(str(node.params.get("method") or PCA), 1).check(bool(node.params.get("label")))
            require_free([str(node.params.get(name) or "") for name in ("id", "label")], "an ID or the label")
        except ComponentError as problem:
            return [str(problem)]
        return []

    def reads(self, node: NodeView) -> list[tuple[str, str]]:
        return [(party, str(node.params.get("path"))) for party in strings(node.params.get("party"))]


def strings(value: object) -> tuple[str, ...]:
    """A parameter that may be one string or a list of them; empty strings do not count."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value if str(item)) if isinstance(value, Sequence) else ()


def _receiver(node: NodeView) -> str | None:
    named = strings(node.params.get("receiver"))
    model = node.one("model")
    return named[0] if named else (model.label_party if model else None)


def _declared(node: NodeView) -> Dense | Module:
    params = node.params
    layers = params.get("layers") or ()
    sizes = [int(size) for size in layers] if isinstance(layers, Sequence) and not isinstance(layers, str) else []
    return declare(
        sizes,
        str(params.get("activation") or "relu"),
        str(params.get("module") or ""),
        str(params.get("arguments") or "{}"),
    )


def _spec(node: NodeView) -> Dense | Module | None:
    try:
        return _declared(node)
    except ComponentError:
        return None


def _settings(node: NodeView) -> Settings:
    given, spec = node.params, _spec(node)
    clip = 0.0 if spec is not None and is_logistic(spec) else float(given.get("clip", 1.0))
    return Settings(
        epochs=int(given.get("epochs", 10)),
        batch=int(given.get("batch_size", 512)),
        optimiser=str(given.get("optimiser") or "sgd"),
        rate=float(given.get("learning_rate", 0.3)),
        clip=clip,
        evaluate_every=int(given.get("evaluate_every", 0)),
        epsilon=float(given.get("epsilon", DEFAULT_EPSILON)),
    )


CLAIMS: dict[str, Claims] = {
    "vertical/encode": EncodeClaims(),
    "vertical/share_table": ShareTableClaims(),
    "vertical/secret_train": SecretTrainClaims(),
    "vertical/secret_predict": SecretPredictClaims(),
}
