#!/usr/bin/env bash
# Runs the core's tests with the lowest versions that the package declares (.ci/lowest.lock, on Python 3.11): what a shop
# that can't upgrade gets. The environment is a second one, .venv-lowest. Left out is what needs tools of the tests' own.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
lowest=$venv-lowest

pip_setting() { "$venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }
index=${PIP_INDEX_URL:-$(pip_setting index-url)}
certificate=${PIP_CERT:-$(pip_setting cert)}
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
[ -z "$certificate" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificate}"
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"

[ -x "$lowest/bin/python" ] || "$venv/bin/uv" venv --quiet --python 3.11 "$lowest"
"$venv/bin/uv" pip sync --quiet --python "$lowest/bin/python" --require-hashes .ci/lowest.lock
"$lowest/bin/python" -m pytest -p no:cacheprovider \
    --ignore tests/warehouse/test_other_engines.py \
    tests/warehouse tests/test_settings.py tests/snapshot tests/test_artifacts.py tests/publication/test_publish.py \
    tests/pipeline/test_chain.py tests/pipeline/test_champion.py tests/registry/test_models.py \
    tests/candidates/test_generators.py tests/ranking tests/tuning tests/evaluation/test_significance.py \
    tests/features/test_by_hand.py tests/load/test_whole_or_nothing.py tests/dags/test_parsing.py "$@"
