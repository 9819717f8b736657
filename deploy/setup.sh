#!/bin/sh
# Makes the virtual environment in $1 from requirements.lock. Run from the project's root (see Makefile).
set -eu
venv=$1
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
  echo "Hutong needs Python 3.11 or 3.12; '$python' is not one. Set PYTHON=/path/to/python3.11." >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  sh "$(dirname "$0")/debian.sh" python3-venv
fi
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "Set up in $venv: $("$venv/bin/python" --version)."
