#!/bin/sh
# Makes a virtual environment with the locked packages: make-venv.sh FOLDER REQUIREMENTS
# Uses uv where it is installed, because it is faster; pip does the same.
set -eu
folder=$1
requirements=$2

suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# pyenv's shims answer for versions that are not active, so each candidate is run, not just found.
candidates="${PYTHON:-} python3.14 python3.13 python3.12 python3 python"
for root in "${PYENV_ROOT:-$HOME/.pyenv}"; do
    for found in "$root"/versions/3.1[2-9]*/bin/python; do
        candidates="$candidates $found"
    done
done
chosen=
for candidate in $candidates; do
    if command -v "$candidate" >/dev/null 2>&1 && suits "$candidate"; then
        chosen=$candidate
        break
    fi
done
if [ -z "$chosen" ]; then
    echo "Kubemotion Web needs Python 3.12 or newer, and none was found." >&2
    echo "Install one (for example with your system's package manager, pyenv or uv), or name it: make setup PYTHON=PATH_TO_PYTHON" >&2
    exit 1
fi

echo "Installing the locked packages into $folder with $("$chosen" --version) …"
if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --allow-existing --python "$chosen" "$folder"
    uv pip sync --quiet --require-hashes --python "$folder/bin/python" "$requirements"
else
    if ! "$chosen" -m venv "$folder" 2>/dev/null; then
        rm -rf "$folder"
        echo "This Python has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
fi
