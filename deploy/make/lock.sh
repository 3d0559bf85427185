#!/bin/sh
# Writes requirements/*.txt anew: exact versions with hashes for Python 3.11-3.14 on Linux, x86-64 and arm64 alike.
# Uses uv when it is on PATH, else takes it into an environment of its own under build/: it is a tool of the release
# day, not of every day, and so is no dependency of Munbon. UPGRADE=1 takes newer versions; without it, pins that still
# fit are kept.
set -eu
cd "$(dirname "$0")/../.."

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=build/lock-venv/bin/uv
    [ -x "$uv" ] || { .venv/bin/python -m venv build/lock-venv && build/lock-venv/bin/python -m pip install --quiet uv; }
fi

compile() { # OUTPUT INPUT [ARGUMENTS]
    output=requirements/$1.txt
    shift
    # No index, no comment and no address goes into the files: where packages come from is the machine's business.
    "$uv" pip compile "$@" --universal --python-version 3.11 --generate-hashes --quiet ${UPGRADE:+--upgrade} \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file "$output" >/dev/null
    echo "munbon: $output: $(grep -c '==' "$output") packages"
}

compile build requirements/build.in
compile dev pyproject.toml --extra dev
# What is installed is what was tested: the smaller sets take their versions from the full one.
for extra in cli central agent gate sim; do
    compile "$extra" pyproject.toml --extra "$extra" --constraint requirements/dev.txt
done
if grep -nE '://|--(index|find-links|extra-index)' requirements/*.txt; then
    echo "munbon: the lock files name an address (above); they must not" >&2
    exit 1
fi
