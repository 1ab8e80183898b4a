#!/bin/sh
# Makes .venv with vizcallbacks in it, on a fresh machine:  sh examples/setup.sh [extra ...]
# Needs Python 3.9, 3.10 or 3.11 with venv. On Debian, what is missing is installed (as root, or by sudo).
set -eu
cd "$(dirname "$0")/.."

extras=$(echo "$*" | tr ' ' ',')
sudo=$([ "$(id -u)" = 0 ] || echo sudo)

# OpenCV's wheel needs the system's libGL and GLib
PATH="$PATH:/usr/sbin:/sbin"
missing=""
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="libgl1"
ldconfig -p 2>/dev/null | grep -q 'libgthread-2\.0\.so\.0' || missing="$missing libglib2.0-0"
if [ -n "$missing" ] && command -v apt-get >/dev/null; then
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends $missing
fi

# MXNet 1.9.1 needs NumPy below 1.24, which has wheels up to Python 3.11
for python in "${PYTHON:-python3}" python3.11 python3.10 python3.9; do
    if "$python" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "vizcallbacks needs Python 3.9, 3.10 or 3.11, and none is on the PATH; name one: PYTHON=... sh $0" >&2
    exit 1
fi

[ -x .venv/bin/python ] || "$found" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".${extras:+[$extras]}"
