"""Claims of the `horizontal` components."""

import math
from functools import partial

from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.data.clients import clients_of, coordinator_of, sum_problems
from veilflow.components.data.columns import parse_categories
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.parameters import LISTED, settings_of, spec_of
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.parameters import strings
from veilflow.components.privacy.advice import doubts
from veilflow.components.privacy.secagg import declare
from veilflow.components.privacy.secagg.settings import MEDIAN, SPU

GLOBAL, SUM, SCORED = "global model", "public sum", "scored update"
SUM_BYTES, SCORED_BYTES = "sum_bytes", "scored_bytes"
_LARGE = 1 << 30


class FedAvgTrainClaims(Claims):
    """Who computes, and what leaves a client."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        if _settings(node).secure_sum.backend == SPU:
            return node.parties
        working = {*clients_of(node), coordinator_of(node), *_judge(node)}
        return tuple(party for party in node.parties if party in working)

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        working = {*clients_of(node), coordinator_of(node), *_judge(node)}
        return {
            "model": Artifact("model", tuple(p for p in node.parties if p in working)),
            "report": Artifact("report"),
        }

    def sends(self, node: NodeView) -> list[Send]:
        clients, coordinator, judge = clients_of(node) or (ALL,), coordinator_of(node), _judge(node)
        to = tuple(dict.fromkeys([*clients, *judge]))
        found = [
            Send("published", clients, kind="bytes", max_bytes=64),
            Send("published", max_items=1 << 16),
            Send(GLOBAL, (coordinator,), to, "array", "float32", ("parameters",), max_bytes=_LARGE, times=1),
            _vector(SUM, (coordinator,), to, SUM_BYTES),
            *declare.sends(_settings(node).secure_sum, clients, coordinator),
        ]
        if judge and _settings(node).needs_individual:
            found.append(_vector(SCORED, clients, judge, SCORED_BYTES))
        return found

    def discloses(self, node: NodeView) -> list[Disclosure]:
        clients, settings, judge = clients_of(node), _settings(node), _judge(node)
        coordinator = coordinator_of(node)
        holders = tuple(dict.fromkeys([*clients, coordinator, *judge]))
        guarded = _protected(settings)
        lines = [
            *declare.discloses(settings.secure_sum, clients, coordinator),
            Disclosure(holders, f"{_what(settings)} and the global model, every round", clients, guarded, "model"),
        ]
        if judge and settings.needs_individual:
            what = "EACH CLIENT'S update, in rounds where updates are judged"
            lines.append(Disclosure(judge, what, clients, guarded, "gradient_sum"))
        if settings.weighting.by == "contribution":
            what = "each client's score and weight"
            lines.append(Disclosure((ALL,), what, clients, "read off the reference rows", "metric"))
        if settings.privacy.unit == "none":
            what = "each client's training loss of every round"
            lines.append(Disclosure((ALL,), what, clients, "a mean over its rows", "metric"))
        if settings.privacy.voting:
            what = "the share of norms within the bound, of all clients together, and the bound of every round"
            note = f"noise {settings.privacy.vote_noise:g} per count, charged"
            lines.append(Disclosure((ALL,), what, clients, note, "metric"))
        if settings.privacy.schedule == "adaptive" and settings.privacy.unit != "none":
            what = "whether each client's budget lasts for the next round"
            lines.append(Disclosure((ALL,), what, clients, "its ledger, not its rows", "metric"))
        if settings.privacy.unit != "none":
            what = (
                "epsilon spent on those of its people who were charged most, earlier trainings included, and how often"
            )
            note = (
                "its ledgers; who comes with another ID is another person to them, and rows without an ID are told by "
                "their values: of changed ones they forget what was spent"
            )
            lines.append(Disclosure((ALL,), what, clients, note, "metric"))
        if judge:
            note = "no noise is added to it"
            lines.append(Disclosure((ALL,), "the model's loss and AUC on the reference rows", judge, note, "metric"))
        said = "row counts"
        return [*lines, Disclosure((ALL,), said, clients, kind="row_count")]

    def protections(self, node: NodeView) -> list[Protection]:
        settings, clients = _settings(node), clients_of(node)
        voting = settings.privacy.voting
        follows_updates = voting and settings.privacy.unit == "client"
        found = [
            Protection("update_norm", clients, {} if follows_updates else {"bound": settings.guard.update_norm}),
            *declare.protections(settings.secure_sum, clients, coordinator_of(node)),
        ]
        if settings.compress.keep < 1:
            found.append(Protection("common_mask", clients, {"keep": settings.compress.keep}))
        if settings.privacy.unit == "client":
            found.append(
                Protection("noise", clients, {"unit": "client", "colluding": settings.privacy.tellers(len(clients))})
            )
        if settings.privacy.unit == "record":
            at_least = settings.privacy.noise if settings.privacy.schedule == "constant" else 0.0
            wanted = {"multiplier": at_least} if at_least and not settings.privacy.first_floor else {}
            found.append(Protection("clip", clients, {} if voting else {"bound": settings.privacy.clip}))
            found.append(Protection("noise", clients, {"unit": "record", **wanted}))
        return found

    def warnings(self, node: NodeView) -> list[str]:
        privacy = _settings(node).privacy
        whose = "one bank's rows as a whole" if privacy.unit == "client" else "one row"
        if privacy.unit == "none":
            return doubts(math.inf, whose, "set privacy/unit: record.")
        return doubts(privacy.epsilon, whose, "lower privacy/epsilon; fewer rounds then leave more for each.")

    def problems(self, node: NodeView) -> list[str]:
        found = sum_problems(node)
        spec, settings = spec_of(node.params), _settings(node)
        lists = {**LISTED, "categories": lambda entries: parse_categories(strings(entries))}
        checks = [partial(parse, node.params.get(path) or ()) for path, parse in lists.items()]
        for check in (*checks, partial(settings.check, spec, clients_of(node), bool(_judge(node)), _adder(node))):
            try:
                check()
            except ComponentError as problem:
                found.append(str(problem))
        local = spec.keep_local or spec.norm == "batch"
        if local and _judge(node) and _judge(node)[0] not in clients_of(node):
            found.append(
                "layers that stay local have no common form: reference rows ('valid') must lie at one of the clients."
            )
        return found


class FedAvgPredictClaims(Claims):
    """A party scores its own rows: nothing leaves it but their number."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        data = node.one("data")
        return data.parties if data is not None and data.parties else node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        data = node.one("data")
        at = data.parties if data is not None else ()
        return {"scores": Artifact("table", at, data.label_party if data else None), "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        return [PUBLISHED]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        data = node.one("data")
        return [Disclosure((ALL,), "row count", data.parties if data else (), kind="row_count")]

    def problems(self, node: NodeView) -> list[str]:
        model, data = node.one("model"), node.one("data")
        if model is None or data is None or not model.parties or set(data.parties) <= set(model.parties):
            return []
        lies = f"the model lies at {', '.join(model.parties)}, the rows at {', '.join(data.parties)}"
        return [f"{lies}: score rows of one of the former, or let that party take part in the training."]


def _adder(node: NodeView) -> str:
    return coordinator_of(node) if clients_of(node) else ""


def _judge(node: NodeView) -> tuple[str, ...]:
    valid = node.one("valid")
    return valid.parties[:1] if valid is not None else ()


def _settings(node: NodeView) -> Settings:
    """What can be told before a run, also where a list is of a wrong form (see `FedAvgTrainClaims.problems`)."""
    try:
        return settings_of(node.params)
    except ComponentError:
        return settings_of({path: value for path, value in node.params.items() if path not in LISTED})


def _what(settings: Settings) -> str:
    median = settings.secure_sum.combine == MEDIAN
    return "the entry-wise median of the updates" if median else "the sum of the updates"


def _protected(settings: Settings) -> str:
    privacy = settings.privacy
    if privacy.unit == "none":
        return "NO noise: updates of many rounds can say much about single rows"
    how = (
        f"noise {privacy.noise:g} x clip"
        if privacy.noise
        else f"epsilon {privacy.epsilon:g} at delta {privacy.delta:g}"
    )
    if privacy.unit == "client":
        against = "the coordinator with all other clients"
        if privacy.colluding >= 0:
            against = f"any one party that sees the sum, with the noise of {privacy.colluding} further client(s)"
        how += f", per client, against {against}"
        return f"updates clipped to {settings.guard.update_norm:g} and noised as a whole: {how}"
    return f"every row's gradient clipped to {privacy.clip:g}, every local step noised: {how}, per row"


def _vector(what: str, sender: tuple[str, ...], to: tuple[str, ...], size: str) -> Send:
    return Send(what, sender, to, "bytes", shape=(size,), max_bytes=_LARGE, times="rounds")


CLAIMS: dict[str, Claims] = {
    "horizontal/fedavg_train": FedAvgTrainClaims(),
    "horizontal/fedavg_predict": FedAvgPredictClaims(),
}
