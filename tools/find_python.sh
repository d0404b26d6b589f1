#!/bin/sh
# find_python.sh 3.11: print an interpreter of that version that can make environments, or nothing.
# Order: VEILFLOW_PYTHON, then the PATH (a pyenv shim counts only if it really runs), pyenv's own store, Debian's.
# Of an environment the interpreter that it was made from: with .venv/bin on the PATH, the first python there is the
# one that setup is about to replace.
want=$1
base() {
    "$1" -c '
import ensurepip, os, ssl, sys
"%d.%d" % sys.version_info[:2] == sys.argv[1] or sys.exit(1)
print(sys.executable if sys.prefix == sys.base_prefix else os.path.realpath(sys.executable))' "$want" 2>/dev/null
}
for candidate in "${VEILFLOW_PYTHON:-}" "python$want" python3 python; do
    [ -n "$candidate" ] && base "$candidate" && exit 0
done
for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" "$(command -v pyenv >/dev/null 2>&1 && pyenv root 2>/dev/null)"; do
    [ -n "$root" ] || continue
    for candidate in "$root/versions/$want".*/bin/python; do
        [ -x "$candidate" ] && base "$candidate" && exit 0
    done
done
[ -x "/usr/bin/python$want" ] && base "/usr/bin/python$want" && exit 0
exit 0
