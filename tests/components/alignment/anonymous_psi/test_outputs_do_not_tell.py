"""Two worlds of the same sizes that differ only in *which* people are common: what a holder has afterwards is the same.

Compared are each party's files (names and sizes), transcript (kinds, shapes, bytes, order) and part of the ledger. What
shares contain is random, and compared by the transcript tests of the protocols. Seconds are a machine's and differ
between any two runs; no step's work depends on who is common, only on how many.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster
PARTIES = ("hospital", "insurer", "coordinator")
HOLDERS = ("hospital", "insurer")
PEOPLE, COMMON = 240, 90
PIPELINE = """
    version: 1
    name: worlds
    parties: [hospital, insurer, coordinator]
    nodes:
      patients:
        uses: data/read_table
        with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: ill}}
      clients: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person]}}}}
      align:
        uses: alignment/anonymous_psi
        needs: {{tables: [patients.table, clients.table]}}
        with: {{protocol: {protocol}, hide_count: {hide}, minimum: 0{more}}}
"""
WORLDS = {"first": slice(0, COMMON), "last": slice(PEOPLE - COMMON, PEOPLE)}
"""Which of the hospital's people the insurer has, too."""
_FRESH = [
    (r"[0-9a-f]{32}", "ID"),  # artifact ids are drawn anew in every run
    (r"\d{4}-\d\d-\d\d[ T][\d:.]+\S*", "TIME"),
]


def _write(folder, common):
    folder.mkdir()
    own = [f"p{number:06d}" for number in range(PEOPLE)]
    others = [*own[common], *(f"q{number:06d}" for number in range(PEOPLE - len(own[common])))]
    numbers = np.arange(PEOPLE)
    # the same cells in both worlds, so that files of plain tables have the same size, too
    pd.DataFrame({"person": own, "age": 20 + numbers % 60, "ill": numbers % 2}).to_csv(
        folder / "hospital.csv", index=False
    )
    pd.DataFrame({"person": others, "premium": 100.0 + numbers}).to_csv(folder / "insurer.csv", index=False)


def _plain(text):
    for pattern, word in _FRESH:
        text = re.sub(pattern, word, text)
    return text


def _files(folder):
    # compared elsewhere, of times only, or (the run ledger's) of random digits under a key of the owner
    skipped = ("transcript.jsonl", "log.txt", "spu.log", "book.json")
    found = [path for path in folder.rglob("*") if path.is_file() and path.name not in skipped]
    # a step's record holds its seconds and traffic, whose digits differ in any two runs
    sizes = {path: -1 if "index" in path.parts else path.stat().st_size // 64 for path in found}
    return sorted((_plain(str(path.relative_to(folder))), size) for path, size in sizes.items())


def _transcript(folder):
    lines = [json.loads(line) for line in (folder / "transcript.jsonl").read_text().splitlines()]
    # two peers' messages may arrive in either order; each one's come in its own
    routes = {}
    for line in lines:
        if line["what"] == "runtime":
            continue
        route = (line["direction"], line["peer"])
        # the length of numbers in text depends on their digits, and these are random
        size = None if line["kind"] == "document" or line["what"] == "ledger_statement" else line["bytes"]
        routes.setdefault(route, []).append(
            (line["step"], line["what"], line["kind"], line["dtype"], line["shape"], size)
        )
    return routes


def _ledger(run):
    document = run.model_dump(mode="json")
    for key in ("seconds", "started"):
        document.pop(key)
    document["file"] = None
    for node in document["nodes"]:
        for key in ("seconds", "seconds_by_party", "bytes_sent", "sent"):
            node.pop(key)
    return sorted(_plain(json.dumps(document, indent=1)).splitlines())  # whoever is done first stands first


@pytest.mark.parametrize(
    ("protocol", "hide"), [("coordinator", "rounded"), ("coordinator", "no"), ("spu_compare", "full")]
)
def test_nothing_a_holder_keeps_depends_on_who_is_common(veilflow_cluster, tmp_path, protocol, hide):
    seen = {}
    more = ", coordinator: coordinator" if protocol == "coordinator" else ""
    for world, common in WORLDS.items():
        folder = tmp_path / world
        _write(folder, common)
        text = PIPELINE.format(folder=folder, protocol=protocol, hide=hide, more=more)
        run = veilflow_cluster.run(text, folder / "out", use_cache=False)
        assert run.status == "ok", run.error
        seen[world] = {
            "ledger": _ledger(run),
            **{f"files of {party}": _files(folder / "out" / party) for party in PARTIES},
            **{f"transcript of {party}": _transcript(folder / "out" / party) for party in PARTIES},
        }
    for what, first in seen["first"].items():
        assert first == seen["last"][what], what


def test_the_comparison_sees_another_number_of_common_people(veilflow_cluster, tmp_path):
    """With the count shown, worlds of other counts differ: the test above is not blind."""
    seen = []
    for world, common in {"some": slice(0, COMMON), "more": slice(0, 2 * COMMON)}.items():
        folder = tmp_path / world
        folder.mkdir()
        _write(folder / "in", common)
        text = PIPELINE.format(
            folder=folder / "in", protocol="coordinator", hide="no", more=", coordinator: coordinator"
        )
        run = veilflow_cluster.run(text, folder / "out", use_cache=False)
        assert run.status == "ok", run.error
        seen.append(_transcript(folder / "out" / "hospital"))
    assert seen[0] != seen[1]
