"""The egress table: per step, which objects may leave a party. The run refuses every other one."""

from rich.table import Table
from rich.text import Text

from veilflow.components.claims import ALL, Send
from veilflow.pipelines.plan.disclosures import who
from veilflow.pipelines.plan.plan import Plan, Step
from veilflow.pipelines.plan.tables import PlainTable

NOTE = "Messages inside the SPU and inside PSI travel on links of those libraries and are not in this table."


def render_sends(plan: Plan) -> Table:
    """A rich table with one row per step and kind of object."""
    table = PlainTable("step", "from", "to", "as", "kind", "at most", kept=("step", "as"))
    for step in plan.steps:
        rows = [_row(step, line) for line in step.sends] or [("nobody", "", "", Text("nothing", style="dim"), "")]
        for index, row in enumerate(rows):
            table.add_row(Text(step.name, style="cyan") if index == 0 else "", *row)
    return table


def _row(step: Step, line: Send) -> tuple[str | Text, ...]:
    if line.kind == "anything":
        return "everybody", "everybody", "", Text("anything: the component does not say", style="yellow"), ""
    kind = " ".join(filter(None, [line.dtype, line.kind]))
    if line.shape is not None:
        kind += f" {' x '.join('?' if each is None else str(each) for each in line.shape)}"
    return _parties(step, line.sender), _parties(step, line.to), line.what, kind, _limit(line)


def _parties(step: Step, named: tuple[str, ...]) -> str:
    return who(step, tuple(party for party in step.view.parties if ALL in named or party in named))


def _limit(line: Send) -> str:
    found = [] if line.times is None else [f"{line.times} object{'' if line.times == 1 else 's'}"]
    if line.kind == "document":
        found.append(f"{line.max_items} item{'' if line.max_items == 1 else 's'} each")
    elif line.kind in ("bytes", "bundle") and line.shape is None:
        found.append(f"{_size(line.max_bytes)} each")
    return ", ".join(found)


def _size(count: int | str) -> str:
    if isinstance(count, str):
        return f"at most {count}"
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= scale:
            return f"{count // scale} {unit}"
    return f"{count} bytes"
