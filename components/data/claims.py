"""Claims of the `data` components: each works at the parties that own the rows, on their own columns."""

from collections.abc import Sequence

from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.data.clean.spec import MISSING, OUTLIERS, CleanSpec, vertical_problem
from veilflow.components.data.federated_stats.claims import FederatedStatsClaims
from veilflow.components.data.images.claims import ReadImagesClaims
from veilflow.components.data.k_anonymity.spec import AnonymitySpec
from veilflow.components.data.names import parse_pairs
from veilflow.components.data.read.spec import KEEP_LABEL, TYPES, ReadSpec
from veilflow.components.data.scale.spec import METHODS
from veilflow.components.errors import ComponentError
from veilflow.datasets.addresses import parse_address
from veilflow.datasets.errors import SourceError

_REPORT = Artifact("report")


def _strings(value: object) -> list[str]:
    """A list parameter, also where it was given as one string."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, Sequence) else []


def _party(node: NodeView) -> str:
    """The party attribute, a string or a list of one."""
    found = _strings(node.params.get("party"))
    return found[0] if found else ""


def _pair_problems(node: NodeView, choices: dict[str, Sequence[str]]) -> list[str]:
    found = []
    for name, allowed in choices.items():
        try:
            parse_pairs(_strings(node.params.get(name)), allowed, name)
        except ComponentError as problem:
            found.append(str(problem))
    return found


class ReadTableClaims(Claims):
    """Reads at one party."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return (_party(node),)

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        party = _party(node)
        return {"table": Artifact("table", (party,), party if node.params.get("label") else None), "report": _REPORT}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        columns = (
            "column names and types, and counts per column of missing, unreadable and infinite cells, and of numbers "
            "among text"
        )
        rows = "row count, and counts of repeated IDs and of rows without ID or label"
        about = (_party(node),)
        return [
            Disclosure((ALL,), columns, about, kind="statistics"),
            Disclosure((ALL,), rows, about, kind="row_count"),
        ]

    def problems(self, node: NodeView) -> list[str]:
        found = []
        for check in (self._address, self._spec):
            try:
                check(node)
            except (SourceError, ComponentError) as problem:
                found.append(str(problem))
        return found

    def reads(self, node: NodeView) -> list[tuple[str, str]]:
        return [(_party(node), str(node.params.get("path", "")))]

    def sends(self, node: NodeView) -> list[Send]:
        return [Send("published", (_party(node),), max_items=1 << 16)]  # a dozen figures per column, of wide tables too

    @staticmethod
    def _address(node: NodeView) -> None:
        address = parse_address(str(node.params.get("path", "")))
        if address.path.lower().endswith(".npz"):
            raise SourceError(f"'{address.path}' is an image set, not a table; give a .csv or .parquet file.")

    @staticmethod
    def _spec(node: NodeView) -> None:
        params = node.params
        ReadSpec(
            ids=tuple(_strings(params.get("id"))),
            label=str(params.get("label") or ""),
            label_above=float(params.get("label_above", KEEP_LABEL)),
            label_is=str(params.get("label_is") or ""),
            columns=tuple(_strings(params.get("columns"))),
            drop=tuple(_strings(params.get("drop"))),
            types=parse_pairs(_strings(params.get("types")), TYPES, "types"),
        ).check()


class _TableClaims(Claims):
    """One table in, tables of the same parties out."""

    tables: tuple[str, ...] = ("table",)
    rule = False
    report = True

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        source = node.one("data") or Artifact("table")
        table = Artifact("table", source.parties, source.label_party)
        found = dict.fromkeys(self.tables, table)
        if self.rule:
            found["rule"] = Artifact("rule", source.parties)
        if self.report:
            found["report"] = _REPORT
        return found

    def sends(self, node: NodeView) -> list[Send]:
        return [PUBLISHED]

    def _tell(self, node: NodeView, what: str, note: str = "", kind: str = "statistics") -> list[Disclosure]:
        source = node.one("data")
        return [Disclosure((ALL,), what, source.parties if source else (), note, kind)]


class CleanClaims(_TableClaims):
    """Cleans at the owners."""

    rule = True

    def discloses(self, node: NodeView) -> list[Disclosure]:
        what = "row count, counts of duplicates, and counts per column of outliers, missing, infinite and filled cells"
        return self._tell(node, what)

    def problems(self, node: NodeView) -> list[str]:
        found = _pair_problems(node, {"missing_by_column": MISSING, "outliers_by_column": OUTLIERS})
        source = node.one("data")
        if found or source is None or len(source.parties) < 2:
            return found
        spec = CleanSpec(
            missing=str(node.params.get("missing", "")),
            missing_by_column=parse_pairs(_strings(node.params.get("missing_by_column")), MISSING, "missing_by_column"),
            duplicates=str(node.params.get("duplicates", "")),
            equal_rows=str(node.params.get("equal_rows", "")),
        )
        return [vertical_problem(spec.drops_rows)] if spec.drops_rows else []


class ScaleClaims(_TableClaims):
    """Scales at the owners."""

    rule = True

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return self._tell(
            node, "how many columns were scaled, and names of columns with one value only or a few values far out"
        )

    def problems(self, node: NodeView) -> list[str]:
        return _pair_problems(node, {"method_by_column": METHODS})


class SplitClaims(_TableClaims):
    """Splits by positions that everybody knows."""

    tables = ("train", "test")

    def sends(self, node: NodeView) -> list[Send]:
        # a random seed, or which rows of a stratified table are test rows: one bit per row
        return [PUBLISHED, Send("published", kind="bytes", max_bytes=64 << 20, times=1)]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        if not node.params.get("stratify"):
            note = "drawn at random, without a look at the data"
            return self._tell(node, "which row positions are test rows", note, "row_order")
        source = node.one("data")
        holder = (source.label_party,) if source and source.label_party else ()
        note = "each part holds a fixed share of every class: who knows some labels learns a little about the others"
        return [Disclosure((ALL,), "which row positions are test rows", holder, note, "row_order")]


class KAnonymizeClaims(_TableClaims):
    """Anonymises at the owner."""

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return self._tell(node, "row count, how many classes of which size there are, and loss per column")

    def protections(self, node: NodeView) -> list[Protection]:
        source, params = node.one("data"), node.params
        asked = {name: params[name] for name in ("k", "l", "ids") if name in params}
        return [Protection("k_anonymity", source.parties if source else node.parties, asked)]

    def problems(self, node: NodeView) -> list[str]:
        found = []
        source, params = node.one("data"), node.params
        if source and len(source.parties) > 1:
            found.append(f"k-anonymity is for one party's table; this one is held by {', '.join(source.parties)}.")
        quasi, sensitive = _strings(params.get("quasi_identifiers")), str(params.get("sensitive") or "")
        try:
            AnonymitySpec(quasi_identifiers=tuple(quasi), sensitive=sensitive).check()
        except ComponentError as problem:
            found.append(str(problem))
        return found


class ApplyRulesClaims(_TableClaims):
    """Applies each owner's rules to its own columns."""

    report = False

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return self._tell(node, "column names and types, row count", kind="schema")

    def problems(self, node: NodeView) -> list[str]:
        source = node.one("data")
        if source is None or not source.parties:
            return []
        own = (rule for rule in node.inputs.get("rules", ()) if rule.kind != "common rule")
        owners = {party for rule in own for party in rule.parties}
        strangers = [party for party in node.parties if party in owners - set(source.parties)]
        if not strangers:
            return []
        return [f"a rule belongs to {', '.join(strangers)}, but the table is held by {', '.join(source.parties)}."]


CLAIMS: dict[str, Claims] = {
    "data/read_table": ReadTableClaims(),
    "data/clean": CleanClaims(),
    "data/scale": ScaleClaims(),
    "data/train_test_split": SplitClaims(),
    "data/k_anonymize": KAnonymizeClaims(),
    "data/apply_rules": ApplyRulesClaims(),
    "data/federated_stats": FederatedStatsClaims(),
    "data/read_images": ReadImagesClaims(),
}
