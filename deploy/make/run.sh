#!/bin/sh
# Finds a Python 3.11-3.14 and runs one helper with it: deploy/make/run.sh MODULE [ARGUMENTS].
# Set PYTHON=/path/to/python to choose the interpreter yourself.
set -eu
cd "$(dirname "$0")/../.."

suitable() {
    "$1" -I -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

candidates() {
    if [ -n "${PYTHON:-}" ]; then
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        command -v "$name" || true
    done
    for root in "${PYENV_ROOT:-$HOME/.pyenv}/versions" "$HOME/.local/share/uv/python"; do
        ls -d "$root"/*3.1[1-4]*/bin/python3 2>/dev/null || true
    done
}

for python in $(candidates | awk '!seen[$0]++'); do
    if suitable "$python"; then
        exec "$python" -m "$@"
    fi
done
echo "munbon: no Python between 3.11 and 3.14 found${PYTHON:+ at $PYTHON}." >&2
echo "        On Debian or Ubuntu, as root: apt install python3 python3-venv" >&2
echo "        Or name one:                  make PYTHON=/path/to/python3.12 ..." >&2
exit 1
