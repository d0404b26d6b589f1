"""Parties compare what their policies say, not how they are written."""

from pathlib import Path

from veilflow.pipelines.policy import LoadedPolicy, agreed_text, digest_of, loads_policy, policy_digest

ONE = b"""
version: 1
name: one
default: deny
allow:
  - {kind: [schema, row_count], reason: counts}
  - {kind: metric}
"""
SAME = b"""
# other words, same rules
name: "one"
version: 1
allow:
  - kind: metric
  - reason: "counts"
    kind:
      - row_count
      - schema
default: deny
"""
OTHER = ONE.replace(b"metric", b"score")


def loaded(raw: bytes, name: str = "one", private: bool = False) -> LoadedPolicy:
    return LoadedPolicy(loads_policy(raw.replace(b"one", name.encode())), f"{name}.yaml", private)


def test_comments_quotes_and_order_do_not_matter():
    assert digest_of(loads_policy(ONE)) == digest_of(loads_policy(SAME))


def test_any_other_rule_name_or_default_does():
    digests = {digest_of(loads_policy(raw)) for raw in (ONE, OTHER, ONE.replace(b"one", b"two"))}
    assert len(digests) == 3
    strict = ONE.split(b"allow:")[0]
    assert digest_of(loads_policy(strict)) not in digests


def test_the_order_of_files_does_not_matter_and_every_file_does():
    one, two = loaded(ONE), loaded(OTHER, "two")
    assert policy_digest([one, two]) == policy_digest([two, one])
    assert len({policy_digest([]), policy_digest([one]), policy_digest([two]), policy_digest([one, two])}) == 4
    assert policy_digest([]) == agreed_text([]) == "none"


def test_what_is_compared_names_the_policies_and_leaves_private_ones_out():
    one, own = loaded(ONE), loaded(OTHER, "own", private=True)
    assert agreed_text([one, own]) == f"one {digest_of(one.policy)}"
    assert policy_digest([one, own]) == policy_digest([one])
    assert agreed_text([own]) == "none"


def test_a_moved_file_is_the_same_policy(tmp_path: Path):
    moved = LoadedPolicy(loads_policy(ONE), str(tmp_path / "elsewhere.yaml"))
    assert agreed_text([moved]) == agreed_text([loaded(ONE)])
