"""Every line of every component's disclosures says what kind it is, in the words that policy files use."""

from importlib import import_module

import pytest

from veilflow.components.claims import _MODULES, KINDS, Artifact, Claims, NodeView

PARTIES = ("hospital", "insurer", "coordinator")
BOTH = Artifact("table", ("hospital", "insurer"), "hospital")
INPUTS = {
    "left": [Artifact("table", ("hospital",), "hospital")],
    "right": [Artifact("table", ("insurer",))],
    "data": [BOTH],
    "table": [BOTH],
    "tables": [Artifact("table", ("hospital",), "hospital"), Artifact("table", ("insurer",))],
    "valid": [BOTH],
    "scores": [Artifact("table", ("hospital",), "hospital")],
    "model": [Artifact("model", ("hospital", "insurer"), "hospital")],
}
SETTINGS = [
    {},
    {"party": "hospital", "path": "x.csv", "label": "ill", "stratify": True, "groups": "sex"},
    {"release": "per_example", "receivers": ["insurer"], "receiver": "insurer"},
]
CLAIMS: dict[str, Claims] = {key: each for name in _MODULES for key, each in import_module(name).CLAIMS.items()}

DELIBERATE: dict[str, str] = {}
"""Component -> why one of its lines is of kind ``other``. None is, today."""


@pytest.mark.parametrize("settings", SETTINGS, ids=["defaults", "labelled", "per_example"])
@pytest.mark.parametrize("key", sorted(CLAIMS))
def test_no_line_is_left_at_other(key: str, settings: dict[str, object]):
    for line in CLAIMS[key].discloses(NodeView("step", PARTIES, settings, INPUTS)):
        assert line.kind in KINDS, line
        assert line.kind not in ("other", "unknown") or key in DELIBERATE, line


@pytest.mark.parametrize("key", sorted(CLAIMS))
def test_protections_are_expected_at_parties_of_the_pipeline(key: str):
    for settings in SETTINGS:
        for protection in CLAIMS[key].protections(NodeView("step", PARTIES, settings, INPUTS)):
            assert protection.at
            assert set(protection.at) <= set(PARTIES)


def test_what_a_label_or_a_person_gives_away_is_called_so():
    def kinds(key: str, **settings: object) -> dict[str, str]:
        return {line.what: line.kind for line in CLAIMS[key].discloses(NodeView("s", PARTIES, settings, INPUTS))}

    assert kinds("vertical/split_train", release="per_example")["the LABEL of every training row"] == "label"
    assert kinds("vertical/split_predict")["the model's score of every row"] == "score"
    assert kinds("alignment/psi")["which of its own people insurer has, too"] == "membership"
    assert kinds("alignment/psi")["how many people are common"] == "overlap_count"
