"""A step that fails under `comp_eval` ends at every party, says why, and says nothing of the data."""

import pytest

pytestmark = pytest.mark.cluster


def test_a_failing_step_ends_at_every_party_and_names_the_reason(parties, tmp_path):
    secret = "p-4711-secret"
    table = {}
    for party, feature in (("hospital", "age"), ("insurer", "claims")):
        file = tmp_path / f"{party}.csv"
        file.write_text(f"person,{feature}\n{secret},1\n{secret},2\n")
        params = {"party": [party], "path": str(file), "id": ["person"]}
        table[party] = parties.run("data/read_table:1.0.0", params, node=f"read_{party}")["table"]
    reason = r"s table: 1 row\(s\) repeat an ID of another row\. Set duplicates to first or last"
    with pytest.raises(AssertionError, match=reason):
        parties.run("alignment/psi:1.0.0", {}, table.values(), seconds=60)
    for party in ("hospital", "insurer", "coordinator"):
        parties.ended(party, 60)
        assert "repeat an ID of another row" in parties.log(party)
        assert secret not in parties.log(party)
