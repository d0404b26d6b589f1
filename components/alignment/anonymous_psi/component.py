"""Anonymous alignment: the rows of the people that all holders have, as secret shares. Nobody learns who they are.

Inputs    ``tables``: individual tables of two or more different parties.
Outputs   ``table``: a secret table (shares at the SPU's parties) of all features and the label, one row per common
          person in an order random to everybody, and a secret membership column where the count is hidden.
          ``report``: counts.
Public    column names and types, the counts in the report, the number of rows of the result.
Opens     nothing about a row. What a protocol reveals besides stands in its package's docstring.
"""

import logging
from dataclasses import replace
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
from veilflow.components.alignment.anonymous.interface import (
    HIDE_COUNT,
    NOT_HIDDEN,
    PROTOCOLS,
    ROUNDED,
    AlignmentPlan,
    Holding,
    Note,
    Shared,
    protocol,
)
from veilflow.components.alignment.anonymous.people import cut, hold
from veilflow.components.alignment.anonymous_psi.roster import Roster, Schema, choose_coordinator, make_roster
from veilflow.components.alignment.ledger.noise import Question
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.match_share import hint
from veilflow.components.alignment.spec import DUPLICATES, parse_rules
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import progress, receipt
from veilflow.components.devices.parties import DeviceParties
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.run_ledger import Charged, charge, ledger_key
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import (
    LABEL,
    SECRET_TABLE_KIND,
    SecretColumn,
    SpuFacts,
    write_secret_table,
)
from veilflow.components.devices.spu_facts import spu_facts
from veilflow.components.devices.spu_parties import SpuParties
from veilflow.components.devices.tables import read_arrow
from veilflow.components.errors import ComponentError
from veilflow.components.training.labels import check_binary_label, require_number_label

log = logging.getLogger("veilflow")

_COUNTS = ("rows", "missing", "duplicates", "people")


@register(domain="alignment", version="1.0.0", name="anonymous_psi")
class AnonymousPsi(Component):
    """
    Align the rows of the people that two or more parties have in common, without anybody learning who they are. The
    result is a table of secret shares inside the SPU, ready for training there.
    """

    protocol: str = Field.attr(
        desc="coordinator: linear time, a third party without data joins pseudonyms and learns how many match. "
        "spu_compare: compared inside an ABY3 SPU, nobody learns how many; the table is as long as the smaller set. "
        "two_party: no third party, shares for a CHEETAH SPU of the two holders; slower.",
        default="coordinator",
        choices=list(PROTOCOLS),
    )
    coordinator: str = Field.attr(
        desc="Who joins the pseudonyms; left out, the only party that holds no table.", default=""
    )
    hide_count: str = Field.attr(
        desc="Who learns how many people are common: no = all parties; rounded = holders to three binary digits; "
        "full = holders nothing. Hidden counts bring padding rows and a secret column that says which rows count. "
        "spu_compare always hides it from all; two_party hides it by noise, see epsilon.",
        default=ROUNDED,
        choices=list(HIDE_COUNT),
    )
    epsilon: float = Field.attr(
        desc="two_party with a hidden count: privacy loss for one person's presence; the same people count once.",
        default=0.5,
        bound_limit=Interval.open(0.0, None),
    )
    minimum: int = Field.attr(
        desc="Fewer common people than this end the run, and all learn that they are fewer.",
        default=20,
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
    id: list[str] = Field.attr(
        desc="ID columns as party:column, in the same order at every holder; left out, those of the tables.", default=[]
    )
    bound: float = Field.attr(
        desc="Features are cut to [-bound, bound] at their holder before they are shared, so that nobody can give one "
        "person values that move a model visibly; scale before (data/scale), and take 16. 0: not cut.",
        default=0.0,
        bound_limit=Interval.closed(0.0, 1e6),
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
    table: Output = Field.output(desc="Shares of the common people's rows.", types=[SECRET_TABLE_KIND])
    report: Output = Field.output(desc="Counts per holder, and rows of the result.", types=[DistDataType.REPORT])
    tables: list[Input] = Field.input(
        desc="One table of each holder.", types=[DistDataType.INDIVIDUAL_TABLE], list_limit=Interval.closed(2, None)
    )

    def evaluate(self, ctx: Context) -> None:
        parts = [VTable.from_distdata(table).get_party(0) for table in self.tables]
        roster = make_roster([(part.party, _schema(part)) for part in parts], self.id or [])
        facts = spu_facts(ctx)
        holdings, counts = self._hold(ctx, parts, roster)
        progress(ctx, 0.2, step="IDs normalised")
        plan = self._plan(ctx, roster, counts, facts)
        charged = self._charge(ctx, holdings, plan)
        holdings = {party: run_on(party, _with_noise, held, charged.noise[party]) for party, held in holdings.items()}
        parties = SpuParties(SecretMachine(ctx.make_spu())) if self.protocol == "spu_compare" else DeviceParties()
        shared = protocol(self.protocol)(parties, holdings, plan, _note(ctx))
        columns = [SecretColumn(column.name, column.owner, column.kind) for column in shared.columns]
        write_secret_table(
            ctx, self.table, dict(shared.parts), columns, shared.rows, facts, anonymous=True, certain=shared.certain
        )
        self._report(counts, shared, charged.told)
        progress(ctx, 1.0, step="done", rows=shared.rows)

    def _hold(
        self, ctx: Context, parts: list[VTableParty], roster: Roster
    ) -> tuple[dict[str, PYUObject], dict[str, dict[str, int]]]:
        """Every holder's people, and the counts, which become public."""
        rules, duplicates, bound = parse_rules(self.normalise), self.duplicates, decimal(self.bound)
        rules.require_positions(len(next(iter(roster.ids.values()))))

        def read(table: pa.Table, party: str) -> tuple[Holding, dict[str, int]]:
            values = [column.name for column in roster.columns[party]]
            for column in roster.columns[party]:
                if column.kind == LABEL:  # as shares nobody could look at it any more
                    check_binary_label(table[column.name], column.name)
            holding, counts = hold(table, roster.ids[party], values, rules, duplicates, f"{party}'s table")
            if bound:
                features = [at for at, column in enumerate(roster.columns[party]) if column.kind != LABEL]
                holding, cells = cut(holding, features, bound)
                log.info("%d cells beyond %g were cut to it.", cells, bound)
                receipt(ctx, "value_bound", bound=bound)
            return holding, counts

        found = {part.party: run_on(part.party, read, read_arrow(ctx, part), part.party, returns=2) for part in parts}
        counts: dict[str, dict[str, int]] = publish({party: pair[1] for party, pair in found.items()})
        return {party: pair[0] for party, pair in found.items()}, counts

    def _plan(self, ctx: Context, roster: Roster, counts: dict[str, dict[str, int]], spu: SpuFacts) -> AlignmentPlan:
        people = {party: found["people"] for party, found in counts.items()}
        small = [party for party, number in people.items() if number < self.minimum]
        if small:
            raise ComponentError(
                f"{', '.join(small)} bring(s) fewer than {self.minimum} people, which is the minimum that was agreed."
            )
        coordinator, settings = "", dict[str, Any](epsilon=decimal(self.epsilon))
        if self.protocol == "coordinator":
            coordinator = choose_coordinator(self.coordinator, list(people), list(ctx.parties))
            settings["choice"] = run_on(coordinator, ledger_key(ctx))
        return AlignmentPlan(
            columns=roster.columns,
            people=people,
            spu=spu.protocol,
            ranks=spu.parties,
            coordinator=coordinator,
            leader=_leader(ctx, list(people)),
            hide_count=self.hide_count,
            minimum=self.minimum,
            settings=settings,
        )

    def _charge(self, ctx: Context, holdings: dict[str, PYUObject], plan: AlignmentPlan) -> Charged:
        """Enter the run in every holder's ledger, before anything about its people is sent."""
        rules = LedgerRules(
            self.ledger_minimum,
            decimal(self.ledger_change),
            self.ledger_inputs,
            self.ledger_runs,
            self.ledger_days,
            decimal(self.ledger_epsilon),
        )
        names = {party: [column.name for column in columns] for party, columns in plan.columns.items()}
        question = None
        if self.hide_count != NOT_HIDDEN and self.protocol == "two_party":
            question = Question("two_party", integer_noise.exact(decimal(self.epsilon)))
        elif self.hide_count != NOT_HIDDEN and self.protocol == "coordinator":
            question = Question("who is first", Fraction())  # tells nothing, but must be the same every time
        return charge(ctx, holdings, names, rules, self.ledger_enforce, question, f"minimum {self.minimum}")

    def _report(self, counts: dict[str, dict[str, int]], shared: Shared, told: list[str]) -> None:
        report = ReportBuilder("anonymous_psi", "Who takes part, and how many rows came out.")
        summary: dict[str, str | int] = {"protocol": self.protocol, "rows": shared.rows, "hide_count": self.hide_count}
        if shared.matched is not None:
            summary["common_people"] = shared.matched
        report.values("alignment", summary)
        if shared.matched is not None:  # public where hide_count is no; a hidden count stays hidden
            report.hint(hint(shared.matched, [found["people"] for found in counts.values()]))
        columns: dict[str, list[str | int]] = {"party": list(counts)}
        columns |= {name: [found[name] for found in counts.values()] for name in _COUNTS}
        report.table("parties", columns, "missing: rows without a complete ID; duplicates: rows dropped.")
        if told:
            report.table("ledger", {"broken": told}, "Told in this simulation; these would end a production run.")
        report.write(self.report)


def _leader(ctx: Context, holders: list[str]) -> str:
    """The same holder whatever the order of tables; and, where keys are pinned, whatever the parties are called."""
    keys = getattr(ctx, "pinned_keys", {})
    return min(holders, key=lambda holder: (keys.get(holder, ""), holder))


def _with_noise(held: Holding, key: bytes | None) -> Holding:
    return replace(held, noise=key)


def _schema(part: VTableParty) -> Schema:
    ids, features, labels = (tuple(names_of_kind(part.schema, kind)) for kind in ("id", "feature", "label"))
    for name in labels:
        require_number_label(part.party, part.types[name], name)
    return Schema(ids, features, labels)


def _note(ctx: Context) -> Note:
    def note(party: str, protection: str, **parameters: object) -> None:
        assert party == ctx.self_party, (party, ctx.self_party)
        receipt(ctx, protection, **parameters)

    return note
