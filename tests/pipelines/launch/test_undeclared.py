"""Between organisations a component that does not say what it sends needs a party's consent, by name."""

import pytest

from veilflow.pipelines.cluster.config import Cluster
from veilflow.pipelines.launch.setups import SetupError, require_declared
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.spec import loads

PIPELINE = b"""
version: 1
name: silent
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  statistics: {uses: stats/table_statistics, needs: {input_ds: patients.table}, with: {"input_ds/features": [a]}}
"""


def _cluster(profile: str, *undeclared: str) -> Cluster:
    parties = {name: {"address": "127.0.0.1:9000"} for name in ("hospital", "insurer")}
    return Cluster.model_validate(
        {"version": 1, "profile": profile, "parties": parties, "undeclared": list(undeclared)}
    )


@pytest.fixture(scope="module")
def plan():
    from veilflow.pipelines import catalog

    names = [a.path for a in catalog.load().find("stats/table_statistics").attributes]
    text = PIPELINE.decode().replace('"input_ds/features"', f'"{next(n for n in names if "feature" in n)}"')
    return make_plan(loads(text.encode()))


def test_production_refuses_it_and_says_what_to_write(plan):
    with pytest.raises(SetupError, match=r"undeclared: \[stats/table_statistics\]"):
        require_declared(plan, _cluster("production"))
    with pytest.raises(SetupError):
        require_declared(plan, _cluster("production", "stats/another"))


def test_a_party_that_names_it_and_a_simulation_run_it(plan):
    require_declared(plan, _cluster("production", "stats/table_statistics"))
    require_declared(plan, _cluster("simulation"))
