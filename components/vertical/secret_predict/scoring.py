"""Logits inside the SPU, in chunks of one size, opened to one party. The variable ``model`` must be set."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.secret import Cut, SecretMachine, SecretProgram
from veilflow.components.vertical.secret import programs
from veilflow.components.vertical.secret.bundle import Facts
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.rows import CHUNK, chunks


def score_secret(
    machine: SecretMachine,
    facts: Facts,
    parts: Mapping[str, Any],
    features: tuple[int, ...],
    label: int | None,
    positions: np.ndarray,
    receiver: str,
) -> Any:
    """Logits (and labels) of positions of a secret table, at ``receiver``: ``{"scores": ..., "labels": ...}``.

    Args:
        features: positions of the model's columns, in its order.
        label: position of the label if it is opened, too.
    """
    machine.attach("table", parts)
    program, cuts = _score(facts), {"x": Cut("table", features)}
    if label is not None:
        plain = program.fn
        program = SecretProgram(
            "score with label",
            lambda model, x, y: (*plain(model, x), y + 0.0),
            ("model", "x", "y"),
            ("scores", "labels"),
        )
        cuts["y"] = Cut("table", (label,), flat=True)
    opened = [machine.open_to(receiver, program, cuts=cuts, rows=rows) for rows, _ in chunks(positions)]
    return run_on(receiver, _joiner(len(positions)), *opened)


def score_shared(machine: SecretMachine, facts: Facts, features: Mapping[str, Any], rows: int, receiver: str) -> Any:
    """Logits of rows whose holders share them now: shape (rows,), at ``receiver``.

    Args:
        features: holder -> its columns (rows, columns) in the model's order, at the holder.
    """
    owners = list(features)
    share, chunk = machine.share_all(), min(rows, CHUNK)
    # The holders' columns stand side by side; the model may want them in another order.
    by_owner = [column for owner in owners for column in facts.features if column[0] == owner]
    order = np.array([by_owner.index(column) for column in facts.features])
    inner, names = _score(facts), tuple(f"x/{owner}" for owner in owners)

    def score(model: Any, *blocks: Any) -> tuple[Any, ...]:
        return inner.fn(model, jnp.concatenate(blocks, axis=1)[:, order])

    program = SecretProgram("score shared", score, ("model", *names), ("scores",))

    def feed(owner: str, start: int) -> list[Any]:
        def shared(x: np.ndarray) -> list[bytes]:
            part = x[start : start + chunk]
            filled = np.concatenate([part, np.zeros((chunk - len(part), x.shape[1]), x.dtype)])
            return share({f"x/{owner}": filled})

        found: list[Any] = run_on(owner, shared, features[owner], returns=machine.world)
        return found

    opened = []
    for start in range(0, rows, chunk):
        opened.append(machine.open_to(receiver, program, feeds=[feed(owner, start) for owner in owners]))
    found = run_on(receiver, _joiner(rows), *opened)
    return run_on(receiver, lambda joined: joined["scores"], found)


def _score(facts: Facts) -> SecretProgram:
    made = programs.score_program(make_network(facts.spec, len(facts.features)))
    return SecretProgram(made.name, made.fn, made.inputs, made.outputs)


def _joiner(rows: int) -> Any:
    def join(*found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([each[name] for each in found])[:rows] for name in found[0]}

    return join
