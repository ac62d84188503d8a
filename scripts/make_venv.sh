#!/usr/bin/env bash
# make_venv.sh PYTHON FOLDER: a virtual environment, or a message that says what to install.
set -euo pipefail
python=$1
folder=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "make_venv: Tilewright needs Python 3.11 or newer; try: make PYTHON=python3.12 …" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships Python without them.
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "make_venv: Python's venv module is absent; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv
fi
"$python" -m venv "$folder"
