#!/bin/sh
# Makes the virtual environment and installs the project into it. Does nothing when the stamp says
# that this was done for this pyproject.toml by this Python.
set -eu

: "${PYTHON:=python3}" "${VENV:=.venv}" "${EXTRAS:=dev}"

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null || fail "$PYTHON was not found: dynflow_mp needs Python 3.11 or newer (PYTHON=… make …)"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "dynflow_mp needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V 2>&1) (PYTHON=… make …)"

# The directory is part of the stamp, because a virtual environment does not survive being moved.
stamp=$(PROJECT="$PWD" EXTRAS="$EXTRAS" "$PYTHON" -c '
import hashlib, os, pathlib, sys
facts = [sys.version, sys.executable, os.environ["PROJECT"], os.environ["EXTRAS"]]
text = "\n".join(facts).encode() + pathlib.Path("pyproject.toml").read_bytes()
print(hashlib.sha256(text).hexdigest())
')
if [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

# Two makes at once must not install into one environment.
exec 9>"$VENV.lock"
if command -v flock >/dev/null; then
    flock -w 900 9 || fail "another set-up of $VENV has not ended within 15 minutes"
    [ "$(cat "$VENV/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
fi

# Only an environment that this script made (it has a stamp), by another Python, is made anew. Any
# other is installed into as it stands: someone may be using it, and may have put more into it.
version() {
    "$1" -c 'import sys; print(sys.version)' 2>/dev/null
}
clear=
if [ -e "$VENV/stamp" ] && [ "$(version "$VENV/bin/python")" != "$(version "$PYTHON")" ]; then
    clear=--clear
fi

printf 'Setting up %s …\n' "$VENV"
if ! said=$("$PYTHON" -m venv $clear "$VENV" 2>&1); then
    case $said in
    *ensurepip* | *venv*) fail "$PYTHON cannot make virtual environments; on Debian: apt install python3-venv" ;;
    *) fail "$said" ;;
    esac
fi
"$VENV/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input --editable ".[$EXTRAS]" ||
    fail "The packages could not be installed; pip's reason stands above."
printf '%s\n' "$stamp" >"$VENV/stamp"
