#!/bin/sh
# Print a Python 3.10 interpreter, or nothing. SecretFlow 1.14.0b0 runs on 3.10 only.
# Order: python3.10 on PATH (a pyenv shim counts only if it really runs), then pyenv's own store.
works() { "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }
for candidate in "${VEILFLOW_PYTHON:-}" python3.10 python3 python; do
    [ -n "$candidate" ] && works "$candidate" && { command -v "$candidate"; exit 0; }
done
for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" "$(command -v pyenv >/dev/null 2>&1 && pyenv root 2>/dev/null)"; do
    [ -n "$root" ] || continue
    for candidate in "$root"/versions/3.10*/bin/python; do
        [ -x "$candidate" ] && works "$candidate" && { echo "$candidate"; exit 0; }
    done
done
exit 0
