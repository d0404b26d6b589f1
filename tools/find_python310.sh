#!/bin/sh
# Print a Python 3.10 interpreter, or nothing. SecretFlow 1.14.0b0 runs on 3.10 only.
# Order: python3.10 on PATH (a pyenv shim counts only if it really runs), then pyenv's own store.
# Of an environment the interpreter that it was made from: with .venv/bin on the PATH, the first python3.10 there is the
# one that setup is about to replace.
base() {
    "$1" -c '
import ensurepip, os, sys
sys.version_info[:2] == (3, 10) or sys.exit(1)
print(sys.executable if sys.prefix == sys.base_prefix else os.path.realpath(sys.executable))' 2>/dev/null
}
for candidate in "${VEILFLOW_PYTHON:-}" python3.10 python3 python; do
    [ -n "$candidate" ] && base "$candidate" && exit 0
done
for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" "$(command -v pyenv >/dev/null 2>&1 && pyenv root 2>/dev/null)"; do
    [ -n "$root" ] || continue
    for candidate in "$root"/versions/3.10*/bin/python; do
        [ -x "$candidate" ] && base "$candidate" && exit 0
    done
done
exit 0
