"""Where figures of a secret table are opened: every opening of one goes through here. The rule stands in
`secret.opening`.

Opened   to the one party named, who may publish it: first one bit per minimum (enough people, enough of each class),
         then exact means where it is known whose rows they are, and elsewhere noised counts. To everybody always one
         word: whether the numbers are plausible.
Kept     counts without noise: a count begins as noise of all parties of the SPU. Where an anonymous table has rows that
         are people for certain, figures are over these alone: then how many people there are enters nothing that is
         opened.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret import Cut, SecretMachine, SecretProgram
from veilflow.components.devices.secret_table import MASK, WEIGHT, SecretTable
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.shared_noise import margin, noise_part
from veilflow.components.vertical.secret import histogram, programs
from veilflow.components.vertical.secret.network import Network
from veilflow.components.vertical.secret.opening import (
    CHANCE,
    CLASS_CHANCE,
    MINIMUM_CLASS,
    MINIMUM_ROWS,
    FigureBudget,
)
from veilflow.components.vertical.secret.rows import CHUNK, chunks
from veilflow.components.vertical.secret.settings import DEALT_RANGE
from veilflow.components.vertical.secret_train.training import TABLE, features_of, label_of, secret

TRAIN, TEST = "train", "test"
_IN_WORDS = {TRAIN: "trained on", TEST: "held out"}

_PLAUSIBLE_LOSS = (-0.05, 100.0)
_FINE, _OVERFLOW, _OUT_OF_RANGE = "", "overflow", "range"

Values = dict[str, float]


class Figures:
    """What evaluations open: to everybody, or to one party, who keeps them with its part of the model.

    Args:
        receiver: the only party that learns figures; empty: everybody.
        budget: of the noise, where there is any.
    """

    def __init__(
        self,
        machine: SecretMachine,
        table: SecretTable,
        parts: Mapping[str, Any],
        network: Network,
        receiver: str,
        budget: FigureBudget,
        dealt: bool,
    ) -> None:
        machine.attach(TABLE, parts)
        self.noised = not table.opened_exactly
        self.receiver, self.last = receiver, dict[str, float]()
        self.kept: list[tuple[str, Any]] = []
        self._machine, self._table, self._network = machine, table, network
        self._budget, self._dealt = budget, dealt
        self._opener = receiver or machine.parties[0]
        self._classes: dict[str, Any] = {}
        self._rows: list[Values] = []
        self._cuts = {"y": Cut(TABLE, (label_of(table),), flat=True)}
        members = (*table.positions(MASK), *table.positions(WEIGHT))
        self._only_certain = table.anonymous and 2 * table.certain >= table.rows
        if members and not self._only_certain:
            self._cuts["member"] = Cut(TABLE, members)

    def counted(self, positions: np.ndarray) -> np.ndarray:
        """Those of ``positions`` that figures are over."""
        return positions[positions < self._table.certain] if self._only_certain else positions

    def require_enough(self, part: str, positions: np.ndarray) -> None:
        """Refuse, before anything of a part of the rows is opened, figures over too few people.

        Args:
            part: ``train`` or ``test``.

        Raises:
            ComponentError: fewer than `MINIMUM_ROWS` people, or `MINIMUM_CLASS` of a class; at every party.
        """
        positions, known = self.counted(positions), "member" not in self._cuts
        if known and len(positions) < MINIMUM_ROWS:
            raise ComponentError(_too_few(part, len(positions)))
        epsilon = self._budget.classes if self.noised else None
        self._start("classes", (2,), epsilon)
        self._count(histogram.class_program(known), positions, ("y",))
        least, of_a_class = MINIMUM_ROWS, MINIMUM_CLASS
        if epsilon is not None:  # what is compared has noise
            least += margin(epsilon, self._machine.world, 2, CHANCE)
            of_a_class += margin(epsilon, self._machine.world, 1, CLASS_CHANCE)
        enough = histogram.enough_program(0 if known else least, of_a_class)
        opened = self._machine.open_to(self._opener, secret(enough))
        verdict = publish(run_on(self._opener, lambda found: [bool(each) for each in found["enough"]], opened))
        if not (known or verdict[0]):  # of people who are known there are enough, whatever the noise says
            raise ComponentError(_too_few(part, None))
        if not verdict[1]:
            raise ComponentError(
                f"of the rows {_IN_WORDS[part]}, fewer than {MINIMUM_CLASS} people are of one class of the label, or "
                f"so few that noise might hide it: no figure over them is opened. With this epsilon {of_a_class} are "
                "needed, and a few more. Bring more people, hold out more rows, or raise epsilon."
                if epsilon is not None
                else f"of the rows {_IN_WORDS[part]}, fewer than {MINIMUM_CLASS} people are of one class of the label: "
                "no figure over them is opened. Bring more people, or hold out more rows."
            )
        if self.noised:
            program = SecretProgram("open classes", lambda classes: (classes + 0,), ("classes",), ("opened",))
            self._classes[part] = self._machine.open_to(self._opener, program)

    def add(self, part: str, epoch: int, positions: np.ndarray) -> Values:
        """Evaluate the model as it is; returns the figures where they are for everybody, else nothing.

        Raises:
            ComponentError: numbers have left the fixed point, or the dealt sigmoid's range; at every party.
        """
        positions = self.counted(positions)
        found = self._noised(part, positions) if self.noised else self._exact(part, positions)
        _require_plausible(publish(run_on(self._opener, lambda pair: pair[1], found)), epoch)
        figures = run_on(self._opener, lambda pair: pair[0], found)
        if self.receiver:
            self.kept.append((f"{part} {epoch}", figures))
            return {}
        values = {f"{part}_{name}": value for name, value in publish(figures).items()}
        self.last |= values
        if part == TRAIN:
            self._rows.append({"epoch": float(epoch), **values})
        return {name: round(value, 6) for name, value in values.items()}

    def columns(self) -> dict[str, list[float]]:
        """Figures by epoch."""
        return {name: [row[name] for row in self._rows] for name in (self._rows[0] if self._rows else ())}

    def document(self) -> Any:
        """What the one receiver keeps, at that party."""
        names = [name for name, _ in self.kept]
        return run_on(
            self.receiver, lambda *found: (dict(zip(names, found, strict=True)), {}), *[each for _, each in self.kept]
        )

    def _exact(self, part: str, positions: np.ndarray) -> Any:
        """Means, and whether they are plausible, at the opener."""
        machine, size, cuts = self._machine, min(CHUNK, len(positions)), ("x", "y")
        machine.zeros({"sums": (len(programs.FIGURES) + 1,)})
        self._count(programs.evaluate_program(self._network, size), positions, cuts, np.float32)
        opened = [machine.open_to(self._opener, secret(programs.figures_program()))]
        if part == TEST:
            machine.zeros({"counts": (2, len(programs.GRID) + 1)})
            self._count(programs.count_program(self._network, size), positions, cuts, np.float32)
            opened.append(machine.open_to(self._opener, secret(programs.auc_program())))
        dealt = self._dealt
        return run_on(self._opener, lambda *found: _means(dealt, *found), *opened)

    def _noised(self, part: str, positions: np.ndarray) -> Any:
        """Figures from noised counts, and whether they are plausible, at the opener."""
        epsilon = self._budget.test if part == TEST else self._budget.train
        between = histogram.edges(len(positions), self._dealt)
        self._start("cells", (2, len(between) + 1), epsilon)
        known = "member" not in self._cuts
        self._count(histogram.cell_program(self._network, between, known), positions, ("x", "y"))
        program = SecretProgram("open cells", lambda cells: (cells + 0,), ("cells",), ("opened",))
        opened = self._machine.open_to(self._opener, program)
        read = _reader(
            between, epsilon, self._budget.classes, self._machine.world, len(positions) if known else None, part == TEST
        )
        dealt = self._dealt
        return run_on(
            self._opener, lambda cells, classes: _implied(read(cells, classes), dealt), opened, self._classes[part]
        )

    def _start(self, count: str, shape: tuple[int, ...], epsilon: Fraction | None) -> None:
        """``count`` becomes the sum of every party's noise; zero where figures are exact."""
        machine = self._machine
        names = [f"noise/{party}" for party in machine.parties]
        world = machine.world

        def draw(name: str) -> dict[str, np.ndarray]:
            return {name: np.zeros(shape, np.int32) if epsilon is None else noise_part(epsilon, world, shape)}

        for name, party in zip(names, machine.parties, strict=True):
            machine.send_shares(party, run_on(party, draw, name))
        machine.run(secret(histogram.start_program(count, names)))
        machine.drop(names)

    def _count(
        self, program: programs.Program, positions: np.ndarray, wanted: tuple[str, ...], kind: Any = np.int32
    ) -> None:
        """Run ``program`` over all of ``positions``, chunk by chunk."""
        cuts = {name: cut for name, cut in self._cuts.items() if name in (*wanted, "member")}
        if "x" in wanted:
            cuts["x"] = Cut(TABLE, features_of(self._table))
        found = list(chunks(positions))
        publics = [{"valid": valid.astype(kind)} for _, valid in found]
        self._machine.loop([secret(program)], cuts, [rows for rows, _ in found], publics)


def _reader(
    between: tuple[float, ...], cell: Fraction, classes: Fraction, parties: int, people: int | None, auc: bool
) -> Callable[..., tuple[Values, bool]]:
    def read(cells: Mapping[str, np.ndarray], by_class: Mapping[str, np.ndarray]) -> tuple[Values, bool]:
        counted = histogram.Counted(
            np.asarray(cells["opened"]),
            np.asarray(by_class["opened"]),
            between,
            float(cell),
            float(classes),
            parties,
            people,
        )
        figures = counted.figures()
        if not auc:
            del figures["auc"]
        return figures, counted.out_of_range()

    return read


def _implied(found: tuple[Values, bool], dealt: bool) -> tuple[Values, str]:
    figures, beyond = found
    return figures, _FINE if not beyond else _OUT_OF_RANGE if dealt else _OVERFLOW


def _means(
    dealt: bool, found: Mapping[str, np.ndarray], area: Mapping[str, np.ndarray] | None = None
) -> tuple[Values, str]:
    figures = {name: float(value) for name, value in zip(programs.FIGURES, found["figures"], strict=True)}
    beyond = figures.pop("beyond")
    if area is not None:
        figures["auc"] = float(area["auc"][0])
    low, high = _PLAUSIBLE_LOSS
    if not low <= figures["loss"] <= high:
        return figures, _OVERFLOW
    return figures, _OUT_OF_RANGE if dealt and beyond > histogram.MAX_BEYOND else _FINE


def _require_plausible(verdict: str, epoch: int) -> None:
    if verdict == _OVERFLOW:
        raise ComponentError(
            f"the loss after epoch {epoch} is not plausible: numbers have left the fixed point. Scale the features "
            "(data/scale, before the alignment), lower learning_rate, or set clip."
        )
    if verdict == _OUT_OF_RANGE:
        raise ComponentError(
            f"more than {histogram.MAX_BEYOND:.1%} of the rows have logits beyond {DEALT_RANGE:g} after epoch {epoch}, "
            "where the dealt sigmoid is wrong. Use sigmoid: exact, cut outliers before the alignment, or lower "
            "learning_rate."
        )


def _too_few(part: str, rows: int | None) -> str:
    if rows is None:
        found = f"compared inside the SPU, fewer than about {MINIMUM_ROWS} people are in common, perhaps nobody"
    else:
        found = f"{rows} people are in common for certain, fewer than {MINIMUM_ROWS}"
    return (
        f"of the rows {_IN_WORDS[part]}, {found}: no figure over them is opened, and nothing is trained. Compare how "
        "IDs are written at the holders (normalise), bring more people, or set test_fraction so that both parts are "
        "large."
    )
