# Everything a newcomer or a contributor runs. `make help` lists it.
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
ARGS ?=
CUT ?= 2017-12-05
INTERACTIONS ?=
PROFILE ?= celery
USERS ?= 10000

export VENV PYTHON

.DEFAULT_GOAL := help
.PHONY: help install run test test-lowest lint bench bench-overhead bench-publication bench-scale soak lock audit clean \
	stack-up stack-down system-packages

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile
	@echo "  options: ARGS='--exit' (run), ARGS='tests/dags -k train' (test), INTERACTIONS=FILE (bench), USERS=100000 (bench-scale), PYTHON=python3.12 (install)"

install: $(INSTALLED)  ## build the environment from the lock; does nothing when it is up to date

$(INSTALLED): requirements.lock .ci/datasets.lock pyproject.toml .ci/install.sh
	@bash .ci/install.sh

run: $(INSTALLED)  ## start Airflow and MLflow, load the demo shop, train, publish, show the result
	@$(BIN)/recsys demo $(ARGS)

test: $(INSTALLED) system-packages lint  ## lint, then all tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not soak' $(ARGS)

lint: $(INSTALLED)  ## ruff, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: export RECSYS_HOME = $(CURDIR)/.recsys/bench
bench: export RECSYS_EVALUATION__REFERENCES = ["item_bm25", "ease"]
bench: $(INSTALLED)  ## measure the demo shop: every model at four cuts, then the published lists by what came after
	rm -rf "$(RECSYS_HOME)"
	$(BIN)/recsys load completejourney --until $(CUT) --no-promotions
	$(BIN)/recsys evaluate --as-of $(CUT) --cuts 4 --json .recsys/bench.json
	$(BIN)/recsys run --as-of $(CUT) $(ARGS)
	$(BIN)/recsys load completejourney --no-promotions
	$(BIN)/recsys evaluate --published
	@if [ -n "$(INTERACTIONS)" ]; then \
		$(BIN)/recsys evaluate --interactions "$(INTERACTIONS)" --protocol leave-one-out; \
	else echo "For leave-one-out on a file of yours: make bench INTERACTIONS=events.parquet"; fi

bench-publication: $(INSTALLED) system-packages  ## rows a second of a publication, on both engines
	$(BIN)/python -m tests.benchmarks.publication $(ARGS)

bench-overhead: $(INSTALLED)  ## what Airflow adds on the demo shop; ARGS='--customers 20000': one worker against two
	$(BIN)/python -m tests.benchmarks.overhead $(ARGS)

bench-scale: $(INSTALLED)  ## measure the whole chain on a made shop of USERS customers; ARGS=--compare shows the growth
	$(BIN)/python -m tests.benchmarks.scale --users $(USERS) $(ARGS)

soak: $(INSTALLED) system-packages  ## the tests that take long
	$(BIN)/pytest -m soak $(ARGS)

stack-up:  ## the stack of docker-compose.yml: writes missing secrets (.stack/), builds, starts; PROFILE=local needs no Redis
	@bash .docker/prepare.sh $(PROFILE)
	docker compose up --build --detach --wait

stack-down:  ## stop that stack; its volumes stay
	docker compose down

test-lowest: $(INSTALLED) system-packages  ## the core's tests with the lowest versions that the package allows
	@bash .ci/test-lowest.sh $(ARGS)

lock: $(INSTALLED)  ## resolve requirements.lock anew; ARGS=--upgrade takes the newest versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra local --extra server --extra dask --extra s3 --group dev pyproject.toml -o requirements.lock $(ARGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --no-deps .ci/datasets.in -o .ci/datasets.lock $(ARGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra server --constraint requirements.lock pyproject.toml .docker/build.in \
		-o .docker/requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--resolution lowest-direct --extra local pyproject.toml .ci/lowest.in -o .ci/lowest.lock $(ARGS)
	@! grep -nE '://|^-' *.lock .ci/*.lock .docker/*.lock || { echo "a lock names a host or a path"; exit 1; }

system-packages:
	@bash .ci/system-packages.sh

clean:  ## remove the environment and what tools have left; what runs have made (RECSYS_HOME) stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
