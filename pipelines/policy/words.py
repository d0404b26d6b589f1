"""What policies say of a plan, for people."""

from collections.abc import Sequence

from rich.text import Text

from veilflow.components.claims import Disclosure
from veilflow.pipelines.plan import Step
from veilflow.pipelines.policy.digest import digest_of
from veilflow.pipelines.policy.match import Finding, Verdict


def refusal(verdicts: Sequence[Verdict]) -> str:
    """One sentence, then one line per objection with its reason. Empty where nobody objects."""
    refused = [verdict for verdict in verdicts if verdict.refused]
    if not refused:
        return ""
    names = ", ".join(f"'{verdict.policy.name}'" for verdict in refused)
    head = f"refused by {'policy' if len(refused) == 1 else 'policies'} {names}; nothing has started"
    lines = [
        f"  step {finding.step}: {objection(finding)}\n    {verdict.policy.name}, {finding.rule}: {finding.reason}"
        for verdict in refused
        for finding in verdict.findings
    ]
    return "\n".join([head, *lines])


def objection(finding: Finding) -> str:
    """What is objected to, without the reason."""
    if finding.disclosure is None:
        return finding.what
    about = f"{finding.disclosure.kind}, about {_names(finding.about)}"
    return f"{_names(finding.to)} would learn {finding.what} ({about})"


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
        beside = [finding for finding in verdict.findings if finding.disclosure is None]
        lines += [Text(f"  step {each.step}: {each.what} ({each.rule}: {each.reason})", style="red") for each in beside]
        lines += [Text(f"  note: {notice}", style="yellow") for notice in verdict.notices]
    return lines


def _names(parties: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parties[:-1]), *parties[-1:]]))
