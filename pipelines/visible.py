"""Characters that a terminal or a browser obeys instead of showing them: where they may not go, their codes stand.

Names, values and errors come from files and from other parties. ESC sequences in them could move the cursor, change the
window's title or hide a line; marks of writing direction could make a line read as another one.
"""

import re

# C0 without line feed, DEL, C1, line and paragraph separators, marks of writing direction, halves of characters.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` with every such character written as its code, ``\\x1b``; line feeds stay."""
    return OBEYED.sub(_code, text)


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
