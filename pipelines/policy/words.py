"""What policies say of a plan, for people."""

from collections.abc import Sequence

from rich.text import Text

from veilflow.components.claims import Disclosure
from veilflow.pipelines.policy.digest import digest_of
from veilflow.pipelines.policy.match import Finding, Verdict
from veilflow.pipelines.plan import Step


def refusal(verdicts: Sequence[Verdict]) -> str:
    """One sentence, then one line per objection with its reason. Empty where nobody objects."""
    refused = [verdict for verdict in verdicts if verdict.refused]
    if not refused:
        return ""
    names = ", ".join(f"'{verdict.policy.name}'" for verdict in refused)
    head = f"refused by {'policy' if len(refused) == 1 else 'policies'} {names}; nothing has started"
    lines = [f"  {objection(finding)}{_of(verdict, refused)}" for verdict in refused for finding in verdict.findings]
    return "\n".join([head, *lines])


def objection(finding: Finding) -> str:
    """One objection with its reason, in one line."""
    if finding.disclosure is None:
        what = finding.what
    else:
        what = f"{_names(finding.to)} would learn about {_names(finding.about)} [{finding.disclosure.kind}]"
        what = f"{what}: {finding.what}"
    return f"{finding.step}: {what}. {finding.reason.rstrip('.')}. ({finding.rule})"


def mark(verdicts: Sequence[Verdict], step: Step, line: Disclosure) -> Text:
    """What stands next to a line of the disclosure table."""
    found = [
        (verdict, finding)
        for verdict in verdicts
        for finding in verdict.findings
        if finding.step == step.name and finding.disclosure is line
    ]
    if not found:
        return Text("allowed", style="green")
    text = Text("FORBIDDEN", style="bold red")
    for verdict, finding in found:
        text.append(f" {verdict.policy.name}, {finding.rule}: {finding.reason}", style="not bold red")
    return text


def rulings(verdicts: Sequence[Verdict]) -> list[Text]:
    """Per policy one line with its verdict and digest, then what it objects to beside the table, and its notices."""
    lines = []
    for verdict in verdicts:
        refused = verdict.refused
        text = Text(verdict.policy.name, style="bold")
        text.append(f": {'REFUSED' if refused else 'allowed'}", style="bold red" if refused else "green")
        text.append(f", sha256 {digest_of(verdict.policy)[:16]}", style="not bold dim")
        lines.append(text)
        lines += [Text(f"  {objection(finding)}", style="red") for finding in verdict.findings if not finding.disclosure]
        lines += [Text(f"  note: {notice}", style="yellow") for notice in verdict.notices]
    return lines


def _of(verdict: Verdict, refused: Sequence[Verdict]) -> str:
    return f" [{verdict.policy.name}]" if len(refused) > 1 else ""


def _names(parties: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parties[:-1]), *parties[-1:]]))
