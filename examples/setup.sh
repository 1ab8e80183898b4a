#!/bin/sh
# Makes .venv with vizcallbacks in it, on a fresh machine:  sh examples/setup.sh [extra ...]
# Takes $PYTHON if that is set; else the newest of Python 3.9 to 3.12 that pyenv has or the PATH; else uv fetches one.
# On Debian, what the system lacks is installed (as root, or by sudo). --python: only tells which Python it takes.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

say() { echo "setup.sh: $*" >&2; }

fail() {
    say "$*"
    say "vizcallbacks needs Python 3.9, 3.10, 3.11 or 3.12: install one, or name it: PYTHON=/path/to/python sh $0"
    exit 1
}

install_packages() { # of Debian; false where there is no apt-get
    command -v apt-get >/dev/null || return 1
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
}

# MXNet 1.9.1 needs NumPy below 2, which has wheels up to Python 3.12
is_of_a_right_version() { "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

makes_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

candidates() { # newest first
    for minor in 12 11 10 9; do
        for version in $(pyenv versions --bare 2>/dev/null | grep "^3\.$minor\.[0-9]*\$" | sort -t. -k3 -rn); do
            echo "$(pyenv prefix "$version")/bin/python"
        done
        command -v "python3.$minor" || true
    done
    command -v python3 || true
}

find_python() { # sets $found, or leaves it empty
    found=""
    unmade=""
    while read -r python; do
        is_of_a_right_version "$python" || continue
        if makes_environments "$python"; then
            found=$python
            return
        fi
        unmade=${unmade:-$python}
    done <<EOF
$(candidates)
EOF
    [ -n "$unmade" ] || return 0
    package=$("$unmade" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    install_packages "$package" && makes_environments "$unmade" && found=$unmade || true
}

fetch_python() { # sets $found
    say "there is no Python 3.9 to 3.12 here: uv, installed from PyPI for this, fetches 3.12 into .venv/python"
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    makes_environments python3 || install_packages python3-venv || fail "python3 with venv is missing, too"
    python3 -m venv "$tools" && "$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv ||
        fail "uv could not be installed, as said above"
    UV_PYTHON_INSTALL_DIR="$PWD/.venv/python" UV_PYTHON_INSTALL_BIN=0 \
        "$tools/bin/uv" python install --quiet --no-config 3.12 ||
        fail "uv could not fetch Python 3.12, as said above; is there a network?"
    for found in "$PWD"/.venv/python/cpython-3.12*/bin/python3.12; do
        is_of_a_right_version "$found" && return
    done
    fail "the Python that uv fetched does not run"
}

if [ -n "${PYTHON:-}" ]; then
    is_of_a_right_version "$PYTHON" || fail "PYTHON=$PYTHON is none that fits"
    found=$PYTHON
else
    find_python
    [ -n "$found" ] || fetch_python
fi
if [ "${1:-}" = --python ]; then
    echo "$found"
    exit
fi

# OpenCV's wheel needs the system's libGL and GLib
missing=""
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="libgl1"
ldconfig -p 2>/dev/null | grep -q 'libgthread-2\.0\.so\.0' || missing="$missing libglib2.0-0"
[ -z "$missing" ] || install_packages $missing || say "OpenCV needs what is missing here: $missing"

[ -x .venv/bin/python ] || "$found" -m venv .venv
extras=$(echo "$*" | tr ' ' ',')
# pip of Python 3.9 and 3.10 walks back through releases where today's does not
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
.venv/bin/python -m pip install --quiet -e ".${extras:+[$extras]}"
