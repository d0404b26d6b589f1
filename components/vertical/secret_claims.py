"""Claims of the components that make, train on and predict from secret tables, and of the image encoder before them."""

from collections.abc import Sequence
from dataclasses import replace

from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.encode.settings import PCA, EncoderSettings
from veilflow.components.vertical.secret.declare import declare, is_logistic
from veilflow.components.vertical.secret.settings import MINIMUM_ROWS, Settings
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
        return {
            "table": Artifact("secret_table", node.parties, data.label_party if data else None),
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
        return {"model": Artifact("model", node.parties, label), "report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        table = node.one("table")
        about = table.parties if table else ()
        watching = strings(node.params.get("metrics_to")) or (ALL,)
        opened = strings(node.params.get("open_to"))
        figures = "training loss and accuracy, estimated by epoch from a random sample of rows"
        if float(node.params.get("test_fraction") or 0):
            figures += "; loss, accuracy and AUC of the rows held out"
        note = "means over rows nobody knows; the model itself stays shares" if not opened else "means over many rows"
        lines = [Disclosure(watching, figures, about, note, kind="metric")]
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
        found = [
            Protection("minimum_rows", node.parties, {"rows": MINIMUM_ROWS}),
            Protection("stays_shares", node.parties, {"opened_to": list(strings(node.params.get("open_to")))}),
        ]
        clip = float(node.params.get("clip", 1.0))
        if clip and spec is not None and not is_logistic(spec):
            found.append(Protection("clip", node.parties, {"bound": clip}))
        return found

    def problems(self, node: NodeView) -> list[str]:
        found = []
        try:
            _declared(node)
        except ComponentError as problem:
            found.append(str(problem))
        try:
            _settings(node).check()
        except ComponentError as problem:
            found.append(str(problem))
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
        return {"scores": Artifact("table", at, receiver if labelled else None), "report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        data, receiver = node.one("data"), _receiver(node)
        about = tuple(party for party in (data.parties if data else ()) if party != receiver)
        to = (receiver,) if receiver else (ALL,)
        note = "a score depends on every holder's features; of a secret table nobody knows whose row it is"
        lines = [Disclosure(to, "the model's score of every row", about, note, kind="score")]
        if node.params.get("with_label"):
            note = "next to its score, not next to a person"
            lines.append(Disclosure(to, "the label of every scored row of the secret table", about, note, "label"))
        lines.append(Disclosure((ALL,), "how many rows are scored", data.parties if data else (), kind="row_count"))
        return lines

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
        epochs=1,
        batch=int(given.get("batch_size", 512)),
        optimiser=str(given.get("optimiser") or "sgd"),
        rate=float(given.get("learning_rate", 0.3)),
        clip=clip,
    )


CLAIMS: dict[str, Claims] = {
    "vertical/encode": EncodeClaims(),
    "vertical/share_table": ShareTableClaims(),
    "vertical/secret_train": SecretTrainClaims(),
    "vertical/secret_predict": SecretPredictClaims(),
}
