"""Apply stored preprocessing rules to other rows."""
