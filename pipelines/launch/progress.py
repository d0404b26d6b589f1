"""What a person sees while a run goes on: one line per step, and a bar for the one that works."""

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from veilflow.pipelines.launch.processes import Event


class RunDisplay:
    """Follows events of all parties; prints a finished line when the slowest party is done with a step.

    On a terminal the running step has a bar; in a pipe or a log only finished lines are printed.
    """

    def __init__(self, console: Console, parties: int, steps: list[str]) -> None:
        self._console = console
        self._parties = parties
        self._width = max((len(name) for name in steps), default=0)
        self._done: dict[str, int] = {}
        self._slowest: dict[str, float] = {}
        plain = not console.encoding.lower().startswith("utf")
        self._done_mark = "+" if plain else "✓"
        self._live = Progress(
            SpinnerColumn("line" if plain else "dots"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._start = self._live.add_task("starting the parties", total=None, note="")

    def __enter__(self) -> "RunDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def on_event(self, event: Event) -> None:
        """Take one event of one party."""
        body = event.body
        if event.kind == "node_started":
            self._begin(body["node"])
        elif event.kind == "progress":
            self._advance(body["node"], body["fraction"], body["values"])
        elif event.kind == "waiting":
            self._console.print(Text(f" … {body['text']}", style="dim"))
        elif event.kind == "restarting":
            self._restart(body["message"], body["left"])
        elif event.kind == "node_done":
            self._finish(body["node"], body["status"], body["seconds"], body.get("metrics", {}), _hints(body))

    def _begin(self, node: str) -> None:
        if self._start in self._live.task_ids:
            self._live.remove_task(self._start)
        if node not in self._tasks and node not in self._done:
            self._tasks[node] = self._live.add_task(node.ljust(self._width), total=None, note="")

    def _advance(self, node: str, fraction: float, values: dict[str, str]) -> None:
        if node in self._tasks:
            note = "  ".join(f"{name} {value}" for name, value in values.items())
            self._live.update(self._tasks[node], total=1.0, completed=fraction, note=note)

    def _restart(self, message: str, left: int) -> None:
        """Steps that were done count as done; the running one is shown anew when it begins again."""
        for node in list(self._tasks):
            self._live.remove_task(self._tasks.pop(node))
        self._done.clear()
        self._console.print(Text.assemble((" ! ", "yellow"), f"{message}; starting again ({left} more time(s))"))

    def _finish(self, node: str, status: str, seconds: float, metrics: dict[str, float], hints: list[str]) -> None:
        self._done[node] = self._done.get(node, 0) + 1
        self._slowest[node] = max(seconds, self._slowest.get(node, 0.0))
        if self._done[node] < self._parties:
            return
        if node in self._tasks:
            self._live.remove_task(self._tasks.pop(node))
        mark = ("=", "cyan") if status == "cached" else (self._done_mark, "green")
        how = "cached" if status == "cached" else f"{self._slowest[node]:.1f} s"
        told = sorted(metrics.items(), key=lambda each: "auc" not in each[0])[:4]  # the figure most look for, first
        numbers = "  ".join(f"{name} {_short(value)}" for name, value in told)
        line = Text.assemble(
            " ", mark, f" {node.ljust(self._width)}  ", (f"{how:>8}", "dim"), f"  {numbers}" if numbers else ""
        )
        self._console.print(line)
        for hint in hints:
            self._console.print(Text.assemble((" ! ", "yellow"), hint))


def _hints(body: dict[str, Any]) -> list[str]:
    """What the step's report says to whoever runs it."""
    tabs = [tab for tab in body.get("report", ()) if tab["kind"] == "values" and tab["name"] == "hint"]
    return [str(value) for tab in tabs for value in tab["values"].values()]


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
