"""Names of the stored rules. Light."""

CLEAN_RULE = "vf.rule.clean"
SCALE_RULE = "vf.rule.scale"
RULE_TYPES = (CLEAN_RULE, SCALE_RULE)
"""Object types of preprocessing rules; per party one JSON document that `apply.apply_rules` takes."""
