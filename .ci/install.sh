#!/usr/bin/env bash
# Builds the environment from the hashed lock. Needs Python 3.11 to 3.13 and a package index, nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

choose_python() {
    local candidates=("${PYTHON:-python3}") name
    [ -n "${PYTHON:-}" ] || candidates+=(python3.13 python3.12 python3.11)
    for name in "${candidates[@]}"; do
        if fits "$name"; then echo "$name"; return; fi
    done
    local found
    found=$("${candidates[0]}" --version 2>&1) || found="no such program"
    echo "Python 3.11, 3.12 or 3.13 is needed; ${candidates[0]} is: ${found}." >&2
    echo "Install one of them and name it: make install PYTHON=/path/to/python3.11" >&2
    return 1
}

make_venv() {
    local python=$1
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        # Debian ships pip's installer in a package of its own.
        local package
        package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package"
        else
            echo "$python has no 'venv' of its own. On Debian or Ubuntu: sudo apt-get install $package" >&2
            return 1
        fi
    fi
    "$python" -m venv "$venv"
}

# uv doesn't read pip's configuration; a machine that has a mirror or a certificate set up for pip gets it too.
pip_setting() { "$venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }

if ! fits "$venv/bin/python"; then
    python=$(choose_python)
    make_venv "$python"
fi

index=${PIP_INDEX_URL:-$(pip_setting index-url)}
certificate=${PIP_CERT:-$(pip_setting cert)}
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
[ -z "$certificate" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificate}"

# uv stands in the lock like everything else: its own entry, with its hashes, is what pip installs first.
if [ ! -x "$venv/bin/uv" ]; then
    awk '/^uv==/ {found = 1} found {print} found && !/\\$/ {exit}' requirements.lock >"$venv/uv.lock"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$venv/uv.lock"
fi
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"
"$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes \
    requirements.lock .ci/datasets.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --offline --no-deps --no-build-isolation --editable .
touch "$venv/installed"
echo "The environment is ready: $venv"
