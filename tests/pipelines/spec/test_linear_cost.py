"""Reading and checking a file costs in proportion to its steps, also where everything is wrong: calls are counted."""

import sys

import pytest

from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.plan.graph import to_mermaid
from veilflow.pipelines.spec import PipelineFileError, loads

HEAD = "version: 1\nname: long\nparties: [hospital, insurer]\nnodes:\n"
READ = '{uses: data/read_table, with: {party: hospital, path: "a.csv", id: [person]}}'


def _chain(steps: int) -> list[str]:
    return [READ, *(f"{{uses: data/clean, needs: {{data: s{i}.table}}}}" for i in range(steps - 1))]


def _one_source(steps: int) -> list[str]:
    return [READ, *(["{uses: data/clean, needs: {data: s0.table}}"] * (steps - 1))]


def _after_a_cycle(steps: int) -> list[str]:
    return ["{uses: data/clean, needs: {data: s1.table}}", *_chain(steps)[1:]]


def _pairs_that_wait_for_each_other(steps: int) -> list[str]:
    return [f"{{uses: data/clean, needs: {{data: s{i ^ 1}.table}}}}" for i in range(steps)]


def _ring_with_a_chord(steps: int) -> list[str]:
    last, second = f"{{uses: data/clean, needs: {{data: s{steps - 1}.table}}}}", "needs: {data: s0.table}"
    return [last, f"{{uses: data/clean, {second}}}", *_chain(steps)[2:]]


def _unknown_names(steps: int) -> list[str]:
    return [f"{{uses: data/clean, needs: {{data: t{i}.table}}}}" for i in range(steps)]


def _unknown_inputs(steps: int) -> list[str]:
    return ["{uses: data/clean, needs: {date: s0.table}}"] * steps


def _calls(shape, steps: int) -> int:
    """How many calls, of C functions too, reading, checking, planning and drawing such a file takes."""
    raw = (HEAD + "".join(f"  s{i}: {text}\n" for i, text in enumerate(shape(steps)))).encode()
    count = 0

    def on_event(frame, event, argument) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        to_mermaid(make_plan(loads(raw)))
    except PipelineFileError:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "shape",
    [
        _chain,
        _one_source,
        _after_a_cycle,
        _pairs_that_wait_for_each_other,
        _ring_with_a_chord,
        _unknown_names,
        _unknown_inputs,
    ],
)
def test_twice_the_steps_take_twice_the_calls(shape):
    _calls(shape, 10)  # what is only read once is read now
    few, many = _calls(shape, 100), _calls(shape, 200)
    assert many < 2.1 * few, f"{few} calls for 100 steps, {many} for 200"
