"""How many people two parties have in common, with noise, before they decide to do anything together.

Inputs    ``left``, ``right``: individual tables of two different parties; only their ID columns are used.
Outputs   ``report``: the noised count, or whether it reaches a threshold.
Public    both tables' counts (rows, without ID, duplicates, people), and the result.
Opens     to all: the number of common people plus discrete Laplace noise of *each* holder, made inside the computation,
          so that nobody sees the number itself; or, with ``at_least``, one bit about that sum. It is
          epsilon-differentially private for the presence of one person towards each party. The same question about
          the same people has the same noise in every run, so repeats tell nothing more; k questions about other people
          together cost k epsilon, which the run ledger bounds for ever.
Protocol  `anonymous.spu_compare` without columns: two holders, a third party, ABY3.
"""

from fractions import Fraction
from typing import Any

import pyarrow as pa
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Interval,
    Output,
    VTable,
    VTableParty,
    register,
)
from secretflow.device import PYUObject

from veilflow.components.alignment.anonymous import integer_noise
from veilflow.components.alignment.anonymous.interface import AlignmentPlan, Holding
from veilflow.components.alignment.anonymous.people import hold
from veilflow.components.alignment.anonymous.spu_compare import counting
from veilflow.components.alignment.anonymous.spu_compare.protocol import Comparison
from veilflow.components.alignment.ledger.noise import Question
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.spec import DUPLICATES, parse_rules
from veilflow.components.data.names import listed, require_columns
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import progress, receipt
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.run_ledger import Charged, charge
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import SpuFacts
from veilflow.components.devices.spu_parties import SpuParties
from veilflow.components.devices.tables import read_arrow
from veilflow.components.errors import ComponentError

_COUNTS = ("rows", "missing", "duplicates", "people")


@register(domain="alignment", version="1.0.0", name="overlap")
class Overlap(Component):
    """
    Tell how many people two parties have in common, with differentially private noise, or only whether they are at
    least so many. Nobody learns who they are, nor the number itself.
    """

    epsilon: float = Field.attr(
        desc="Privacy loss for one person; the same people count once. Each holder's noise is about 1.4 / epsilon.",
        default=0.5,
        bound_limit=Interval.open(0.0, None),
    )
    at_least: int = Field.attr(
        desc="Tell only whether so many are common (after the noise); 0: tell the noised number.",
        default=0,
        bound_limit=Interval.closed(0, None),
    )
    normalise: list[str] = Field.attr(
        desc="How IDs are made comparable, for all ID columns, or for one by its position as in 2:phone. "
        "Of strip, spaces, width, case, number, date, phone, id_card.",
        default=["strip", "width"],
    )
    duplicates: str = Field.attr(
        desc="Rows that repeat a person: an error, or only the first or last kept.",
        default="error",
        choices=list(DUPLICATES),
    )
    ledger_minimum: int = Field.attr(desc="Run ledger: fewest people in a table.", default=LedgerRules.minimum)
    ledger_change: float = Field.attr(
        desc="Run ledger: share of its people, or of its people's values, in which a table must differ from an earlier "
        "run's, or be the same.",
        default=LedgerRules.change,
    )
    ledger_inputs: int = Field.attr(
        desc="Run ledger: different tables that may meet the same partner in ledger_days, other values included.",
        default=LedgerRules.inputs,
    )
    ledger_runs: int = Field.attr(desc="Run ledger: runs with the same partner per day.", default=LedgerRules.runs)
    ledger_days: int = Field.attr(desc="Run ledger: how far back change and inputs look.", default=LedgerRules.days)
    ledger_epsilon: float = Field.attr(
        desc="Run ledger: privacy loss of all numbers with noise that one partner is ever told; the same people count "
        "once. 0: no limit.",
        default=LedgerRules.epsilon,
        bound_limit=Interval.closed(0.0, None),
    )
    ledger_enforce: str = Field.attr(
        desc="production: in a simulation broken ledger rules are only told; always: they end the run there, too.",
        default="production",
        choices=["production", "always"],
    )
    left_id: list[str] = Field.table_column_attr(
        "left", desc="ID columns; left out, those of the table.", limit=Interval.closed(0, None)
    )
    right_id: list[str] = Field.table_column_attr(
        "right",
        desc="ID columns, in the order of the left ones; left out, those of the table.",
        limit=Interval.closed(0, None),
    )
    left: Input = Field.input(desc="One party's table.", types=[DistDataType.INDIVIDUAL_TABLE])
    right: Input = Field.input(desc="The other party's table.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="The noised count or verdict.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        parts = [VTable.from_distdata(side).get_party(0) for side in (self.left, self.right)]
        ids = _id_columns(parts, (self.left_id or [], self.right_id or []))
        epsilon = integer_noise.exact(decimal(self.epsilon))
        holdings, counts = self._hold(ctx, parts, ids)
        machine = SecretMachine(ctx.make_spu())
        people = {party: found["people"] for party, found in counts.items()}
        spu = SpuFacts.of(machine)
        plan = AlignmentPlan(dict.fromkeys(ids, ()), people, spu.protocol, spu.parties)
        charged = self._charge(ctx, holdings, epsilon)
        progress(ctx, 0.2, step="IDs normalised")
        run = Comparison(SpuParties(machine), plan, _note(ctx))
        noise = {
            party: run_on(party, lambda key: _noise(ctx, epsilon, key), key) for party, key in charged.noise.items()
        }
        total = counting.noised(run, holdings, noise)
        result: dict[str, Any] = {"epsilon": float(epsilon)}
        if self.at_least:
            result |= {"at_least": self.at_least, "reached": run.parties.at_least(total, self.at_least)}
        else:
            result["common_people_noised"] = counting.opened(run, total)
        self._report(counts, result, charged.told)
        progress(ctx, 1.0, step="done")

    def _hold(
        self, ctx: Context, parts: list[VTableParty], ids: dict[str, list[str]]
    ) -> tuple[dict[str, PYUObject], dict[str, dict[str, int]]]:
        rules, duplicates = parse_rules(self.normalise), self.duplicates
        rules.require_positions(len(next(iter(ids.values()))))

        def read(table: pa.Table, party: str) -> tuple[Holding, dict[str, int]]:
            return hold(table, ids[party], [], rules, duplicates, f"{party}'s table")

        found = {part.party: run_on(part.party, read, read_arrow(ctx, part), part.party, returns=2) for part in parts}
        counts: dict[str, dict[str, int]] = publish({party: pair[1] for party, pair in found.items()})
        return {party: pair[0] for party, pair in found.items()}, counts

    def _charge(self, ctx: Context, holdings: dict[str, PYUObject], epsilon: Fraction) -> Charged:
        rules = LedgerRules(
            self.ledger_minimum,
            decimal(self.ledger_change),
            self.ledger_inputs,
            self.ledger_runs,
            self.ledger_days,
            decimal(self.ledger_epsilon),
        )
        # Not `at_least`: whatever the threshold, it is compared with the same number.
        question = Question("overlap", epsilon)
        return charge(ctx, holdings, dict.fromkeys(holdings, ()), rules, self.ledger_enforce, question)

    def _report(self, counts: dict[str, dict[str, int]], result: dict[str, Any], told: list[str]) -> None:
        report = ReportBuilder("overlap", "How many people are common, with noise of both holders.")
        report.values("overlap", result)
        columns: dict[str, list[Any]] = {"party": list(counts)}
        columns |= {name: [found[name] for found in counts.values()] for name in _COUNTS}
        report.table("parties", columns, "missing: rows without a complete ID; duplicates: rows dropped.")
        if told:
            report.table("ledger", {"broken": told}, "Told in this simulation; these would end a production run.")
        report.write(self.report)


def _noise(ctx: Context, epsilon: Fraction, key: bytes) -> int:
    receipt(ctx, "count_noise", epsilon=float(epsilon), law="discrete Laplace", keyed=True)
    return integer_noise.discrete_laplace(epsilon, integer_noise.keyed_draws(key))


def _note(ctx: Context) -> Any:
    return lambda party, protection, **parameters: receipt(ctx, protection, **parameters)


def _id_columns(parts: list[VTableParty], chosen: tuple[list[str], list[str]]) -> dict[str, list[str]]:
    if parts[0].party == parts[1].party:
        raise ComponentError(f"left and right are both tables of {parts[0].party}; an overlap needs two parties.")
    found = {}
    for part, side, names in zip(parts, ("left", "right"), chosen, strict=True):
        found[part.party] = list(names) or names_of_kind(part.schema, "id")
        if not found[part.party]:
            raise ComponentError(
                f"{part.party}'s table has no ID column: set {side}_id, or id where the table is read."
            )
        require_columns(found[part.party], part.columns, f"{part.party}'s table")
    (left, left_ids), (right, right_ids) = found.items()
    if len(left_ids) != len(right_ids):
        raise ComponentError(
            f"{left} tells people apart by {listed(left_ids)}, {right} by {listed(right_ids)}: "
            f"name the same number of columns, in the same order."
        )
    return found
