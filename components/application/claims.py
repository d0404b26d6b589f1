"""Claims of the `application` components."""

from veilflow.components.application.limits import MIN_GROUP_ROWS
from veilflow.components.claims import PEOPLE, Artifact, Claims, Disclosure, NodeView, Protection, Send

FIGURES = (
    "accuracy, F1, AUC, KS, precision, recall, specificity, Brier score, log loss, threshold, and how many rows are "
    "positive"
)
CURVES = "ROC curve, calibration curve and confusion matrix"


class EvaluateClaims(Claims):
    """The holder of scores and label computes; the receivers, or everybody, learn the figures."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        working = {*_holder(node), *(node.params.get("receivers") or ())}
        return tuple(party for party in node.parties if party in working) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        return {"report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        # curves have a few hundred points; the whole document goes to the receivers, or to all
        return [Send(what, max_items=1 << 16) for what in ("published", "sent")]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        holder = _holder(node)
        receivers = node.params.get("receivers") or node.parties
        to = tuple(party for party in node.parties if party in receivers and party not in holder)
        if not to:
            return []
        lines = [
            Disclosure(to, FIGURES, holder, "sums over all rows", "metric"),
            Disclosure(
                to,
                CURVES,
                holder,
                "counts of the label holder's rows in the order of their scores; on a few dozen rows they come close "
                "to single labels",
                "metric",
            ),
        ]
        scores = node.one("scores")
        if scores is not None and PEOPLE in scores.hidden:
            what = "whether a person is in the table, to whoever gave that person a label or values that stand out"
            lines.append(Disclosure(to, what, scores.owners, "the figures are exact", "membership"))
        if node.params.get("groups"):
            what = f"the values of column '{node.params['groups']}', and rows, positives and figures for each"
            note = f"values with fewer than {MIN_GROUP_ROWS} rows are pooled or left out"
            lines.append(Disclosure(to, what, holder, note, "statistics"))
        return lines

    def protections(self, node: NodeView) -> list[Protection]:
        # Every party walks through the step and knows the receivers; each says so for itself.
        found = []
        receivers = [party for party in node.parties if party in (node.params.get("receivers") or node.parties)]
        if len(receivers) < len(node.parties):
            found.append(Protection("figures_to_receivers_only", node.parties, {"receivers": receivers}))
        if node.params.get("groups"):
            found.append(Protection("minimum_group", _holder(node), {"rows": MIN_GROUP_ROWS}))
        return found

    def problems(self, node: NodeView) -> list[str]:
        scores = node.one("scores")
        if scores is None or len(scores.parties) < 2:
            return []
        return [
            f"'scores' lies at {len(scores.parties)} parties ({', '.join(scores.parties)}), but scores and label must "
            "be at one; use the output of a prediction step."
        ]

    def cacheable(self, node: NodeView) -> bool:
        receivers = node.params.get("receivers") or node.parties
        return set(node.parties) <= set(receivers)  # a skipped step would not write the receivers' files


class WriteTableClaims(Claims):
    """A party writes down what it already holds: nobody learns anything."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return tuple(party for party in node.parties if party == node.params.get("party")) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        return {"report": Artifact("report")}

    def problems(self, node: NodeView) -> list[str]:
        table, party = node.one("table"), node.params.get("party")
        if table is None or not table.parties or party in table.parties:
            return []
        return [f"'party' is {party}, which holds no part of 'table'; it lies at {', '.join(table.parties)}."]

    def sends(self, node: NodeView) -> list[Send]:
        return [Send("published", max_items=1, times=1)]

    def cacheable(self, node: NodeView) -> bool:
        return False  # a skipped step would not write the file


def _holder(node: NodeView) -> tuple[str, ...]:
    scores = node.one("scores")
    return scores.parties if scores else ()


CLAIMS: dict[str, Claims] = {
    "application/evaluate": EvaluateClaims(),
    "application/write_table": WriteTableClaims(),
}
