"""Drives the secret programs of training. Every party makes these calls in the same order.

Opened  nothing; figures are opened by `figures`, and the model where `open_model` is called.
Kept    every row, every gradient, the model and its optimiser stay shares. Batches are cut from the stored table at
        each rank, so feeding them sends nothing.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.secret import Cut, DealtSigmoid, SecretMachine, SecretProgram, Stage
from veilflow.components.devices.secret_table import FEATURE, LABEL, MASK, WEIGHT, SecretTable
from veilflow.components.errors import ComponentError
from veilflow.components.training.batches import batches
from veilflow.components.vertical.secret import programs
from veilflow.components.vertical.secret.network import ModuleNetwork, Network
from veilflow.components.vertical.secret.optimiser import Rule
from veilflow.components.vertical.secret.rows import CHUNK

TABLE, WEIGHTS = "table", "row weights"


class SecretTraining:
    """A model in training.

    Args:
        parts: per party of the SPU its shares of ``table``, as `read_secret_table` returns them.
        size: rows per batch.
        dealt: use the sigmoid of two rounds (see `Settings.deals`).
    """

    def __init__(
        self,
        machine: SecretMachine,
        table: SecretTable,
        parts: Mapping[str, Any],
        network: Network,
        rule: Rule,
        size: int,
        dealt: bool,
    ) -> None:
        self._machine, self._network, self._rule, self._size = machine, network, rule, size
        self._steps = 0
        self._rows = table.rows
        machine.attach(TABLE, parts)
        self._cuts = {"x": Cut(TABLE, features_of(table)), "y": Cut(TABLE, (label_of(table),), flat=True)}
        self.weighted = bool(table.positions(WEIGHT) or table.positions(MASK))
        if self.weighted:
            self._weigh(tuple(table.positions(WEIGHT) + table.positions(MASK)))
            self._cuts["weight"] = Cut(WEIGHTS, (0,), flat=True)
        sigmoid: Stage = secret(programs.sigmoid_program())
        if dealt:
            sigmoid = DealtSigmoid("logits", "probability", network.raw_bits)
        forward = programs.forward_program(network, raw=dealt)
        backward = programs.backward_program(network, rule, size, self.weighted)
        self._stages: list[Stage] = [secret(forward), sigmoid, secret(backward)]
        self._start()

    @property
    def parties(self) -> list[str]:
        """The SPU's."""
        return self._machine.parties

    def epoch(self, order: np.ndarray) -> None:
        """Train on whole batches of ``order`` (positions)."""
        found = list(batches(order, self._size))
        publics = [self._rule.public_values(self._steps + step) for step in range(len(found))]
        self._machine.loop(self._stages, self._cuts, found, publics if self._rule.publics else ())
        self._steps += len(found)

    def model(self) -> dict[str, Any]:
        """Per party of the SPU its shares of the parameters, as a part of the bundle."""
        return self._machine.save(("model",))

    def open_model(self, party: str) -> Any:
        """The parameters in the clear, at ``party``: float32, shape (parameters,)."""
        fetch = SecretProgram("fetch model", lambda model: (model + 0.0,), ("model",), ("opened",))
        found = self._machine.open_to(party, fetch)
        return run_on(party, lambda got: np.asarray(got["opened"], np.float32), found)

    def _start(self) -> None:
        """A logistic regression starts at 0, a network at the sum of all ranks' random parts: nobody knows where.

        A user's module may start at values that must not be summed (a scale of 1): there the first rank draws alone.
        """
        machine, network = self._machine, self._network
        machine.zeros({name: (network.count(),) for name in ("model", *self._rule.state)})
        if not np.any(network.init(np.random.default_rng(0))):
            return
        drawing = machine.parties[:1] if isinstance(network, ModuleNetwork) else machine.parties
        names = [f"start/{party}" for party in drawing]

        def draw(name: str) -> dict[str, np.ndarray]:
            rng = np.random.default_rng(secrets.randbits(128))
            return {name: network.init(rng) / np.sqrt(len(drawing))}

        for name, party in zip(names, drawing, strict=True):
            machine.send_shares(party, run_on(party, draw, name))
        machine.run(secret(programs.start_program(["model", *names])))
        machine.drop(names)

    def _weigh(self, columns: tuple[int, ...]) -> None:
        """Set `WEIGHTS`: the product of the weight and mask columns, with mean 1 over all rows."""
        machine, size = self._machine, min(CHUNK, self._rows)
        machine.zeros({"total": (1,)})
        self._weights_by_chunk(programs.weight_program(len(columns), size), {"weights": Cut(TABLE, columns)})
        normalise = programs.normalise_program(self._rows, size)
        self._weights_by_chunk(normalise, {"weight": Cut(WEIGHTS, (0,), flat=True)})

    def _weights_by_chunk(self, program: programs.Program, cuts: Mapping[str, Cut]) -> None:
        machine, size = self._machine, min(CHUNK, self._rows)
        blocks: dict[str, list[Any]] = {party: [] for party in machine.parties}
        for start in range(0, self._rows, size):
            rows = np.arange(start, min(start + size, self._rows))
            machine.run(secret(program), cuts=cuts, rows=rows)
            for party, part in machine.export(["weight"]).items():
                blocks[party].append(part)
        whole = {party: run_on(party, lambda *found: np.concatenate(found), *parts) for party, parts in blocks.items()}
        machine.attach(WEIGHTS, whole)


def features_of(table: SecretTable) -> tuple[int, ...]:
    """Positions of the feature columns.

    Raises:
        ComponentError: there are none.
    """
    found = tuple(table.positions(FEATURE))
    if not found:
        raise ComponentError("the secret table has no feature column; nothing can be learned from it.")
    return found


def label_of(table: SecretTable) -> int:
    """Position of the label.

    Raises:
        ComponentError: there is none, or several.
    """
    found = table.positions(LABEL)
    if len(found) != 1:
        names = ", ".join(table.names(LABEL)) or "none"
        raise ComponentError(f"training needs one label column in the secret table; it has {len(found)} ({names}).")
    return found[0]


def secret(program: programs.Program) -> SecretProgram:
    """A kernel's program in the device layer's form."""
    return SecretProgram(program.name, program.fn, program.inputs, program.outputs)
