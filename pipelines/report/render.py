"""Fill the page: everything is computed before, the template only places it."""

import re
import shlex

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report import numbers, words
from veilflow.pipelines.report.disclosure import learned, not_reached
from veilflow.pipelines.report.graph import PARTY_COLOURS, graph, legend
from veilflow.pipelines.report.policies import rulings
from veilflow.pipelines.report.receipts import receipt_rows
from veilflow.pipelines.report.sent import sent_rows
from veilflow.pipelines.report.steps import step_reports
from veilflow.pipelines.report.traffic import traffic
from veilflow.pipelines.visible import visible

TEMPLATE = "report.html.j2"
_LONGEST_WORD = 20


def render(run: Run) -> str:
    """The report of one run as a single HTML document.

    It needs no network and runs no script (its content policy forbids both), follows the reader's light or dark setting
    and prints on A4. All text from the run is escaped, marks of writing direction in it too, so that no line reads as
    another one.
    """
    environment = _environment()
    steps = step_reports(run)
    page = environment.get_template(TEMPLATE).render(
        run=run,
        css=_style_sheet(environment),
        status=words.STATUS[run.status],
        summary=words.summary(run),
        headline=words.headline(run),
        exit_meaning=words.EXIT_CODES.get(run.error.exit_code, "") if run.error else "",
        command=_command(run),
        graphs=graph(run),
        marks=legend(run),
        colours={party: index % PARTY_COLOURS for index, party in enumerate(run.parties)},
        learned=learned(run),
        not_reached=not_reached(run),
        rulings=rulings(run),
        unstarted=run.status == "refused" and all(node.status == "skipped" for node in run.nodes),
        results=[step for step in reversed(steps) if step.is_result],
        others=[step for step in steps if not step.is_result],
        traffic=traffic(run),
        receipts=receipt_rows(run),
        sent=sent_rows(run),
    )
    return visible(page)


def _command(run: Run) -> str:
    """What to type to run the same again; the cluster file by the name that `veilflow certs cluster` gives it."""
    party = ["--party", run.party, "--cluster", "cluster.yaml"] if run.party else []
    overrides = [part for override in run.file.overrides for part in ("--set", override)]
    policies = [part for each in run.policies if not each.private for part in ("--policy", each.path)]
    return shlex.join(["veilflow", "run", run.file.path, *party, *overrides, *policies])


def _style_sheet(environment: Environment) -> Markup:
    """Our own file as it is: nothing is filled in, so nothing needs escaping."""
    loader = environment.loader
    assert loader is not None
    return Markup(loader.get_source(environment, "report.css")[0])


def _breakable(name: str) -> Markup:
    """A name that may break behind its underscores, slashes and dots, or anywhere in a very long word."""
    parts = re.findall(rf"[^_/.\s]{{1,{_LONGEST_WORD}}}[_/.]?|[_/.\s]", name)
    return Markup("<wbr>").join(escape(part) for part in parts)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("veilflow.pipelines.report"),
        autoescape=True,  # for every file name, whatever its ending
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        scalar=numbers.scalar,
        count=numbers.count,
        seconds=numbers.seconds,
        size=numbers.size,
        moment=numbers.moment,
        label=words.label,
        component=words.component,
        listed=words.listed,
        breakable=_breakable,
        plural=words.plural,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
        step_status=words.STEP_STATUS.__getitem__,
    )
    return environment
