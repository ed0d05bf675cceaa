# `make run` and `make test` do all set-up themselves. Options for a target: make run ARGS="--duration 60s"
BIN := .venv/bin
ARGS ?=
PYTEST_ARGS ?=
TEST_JOBS ?= 2
SEEDS ?= 1000
MINUTES ?= 20
FROM ?= 0
PROMISE = tests/promise tests/timeline/test_promise.py
JOBS ?= 2

# Tests start the program some hundred times: compiled once, a start takes a third of the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test nightly sim matrix soak bench lint fmt dashboards lock clean
.SILENT:

run: ## the main job on the embedded log, fed by a simulated company
	scripts/setup
	$(BIN)/correlator run --embedded $(ARGS)

test: lint ## everything that continuous integration checks; the last line is pytest's summary
	$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile $(PYTEST_ARGS)

nightly: ## the promise about order, 10,000 cases a test: make nightly [PYTEST_ARGS="-k shipped"]; hours
	scripts/setup test
	CORRELATOR_TEST_PROFILE=nightly $(BIN)/pytest -n $(TEST_JOBS) --dist load --durations=0 $(PROMISE) $(PYTEST_ARGS)

sim: ## workers under simulated faults: make sim SEEDS=100000 [FROM=0] [JOBS=2]; what fails says how to replay it
	scripts/setup test
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM) --jobs $(JOBS) $(ARGS)

lint:
	scripts/setup test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict correlator tests
	$(BIN)/lint-imports --no-logo

matrix: ## kill -9 and all the rest at every point, on a real broker; some minutes
	scripts/setup test
	$(BIN)/pytest -m matrix --durations=10 $(PYTEST_ARGS)

soak: ## processes killed at random under load, on a real broker: make soak MINUTES=20 [ARGS="--seed 2"]
	scripts/setup test
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

bench: ## speed and memory; reports, never asserts
	scripts/setup test
	$(BIN)/python -m bench $(ARGS)

fmt: ## format and repair what can be repaired safely
	scripts/setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dashboards: ## deploy/grafana/*.json from the tables beside them
	scripts/setup test
	$(BIN)/python -m deploy.grafana.dashboards

lock: ## requirements.lock from pyproject.toml: versions and hashes, for every platform, without host names
	scripts/setup
	(echo "# Made by \`make lock\` from pyproject.toml."; $(BIN)/uv pip compile pyproject.toml --group dev --quiet \
		--upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links) > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## everything that can be made again
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out
