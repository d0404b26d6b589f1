"""Names of the stored rules. Light."""

CLEAN_RULE = "sf.rule.vf_clean"
SCALE_RULE = "sf.rule.vf_scale"
RULE_TYPES = (CLEAN_RULE, SCALE_RULE)
"""Object types of preprocessing rules; per party one JSON document that `apply.apply_rules` takes."""
