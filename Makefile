# make demo    watch a real workload run to its end      make test    the whole suite
# make simulate   SEEDS=20000: worlds in virtual time      make simulate-mutants    … without one mechanism each
# make lint    ruff, mypy, import rules                  make bench   the figures of docs/performance.md
# make chaos   the long tests, then worlds under random kills: CHAOS="--worker-kills 10000 --database postgresql"
# make fuzz    damaged frames, envelopes and rows, for FUZZ_SECONDS each (60)
#
# Everything runs in .venv, made on first use and brought up to date when pyproject.toml or Python changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,console,postgres,mysql
TESTS ?= tests
JOBS ?= 2
WORKLOADS ?=
DATABASES ?=
SEEDS ?= 2000

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos simulate simulate-mutants lint format bench fuzz clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -7

setup:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" EXTRAS="$(EXTRAS)" sh scripts/set_up.sh

demo: setup
	@$(BIN)/python -m examples.catalogue --report build/catalogue.json $(DEMO)

test: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS) $(PYTEST)

chaos: setup
	@$(BIN)/python -m pytest -m chaos $(TESTS) $(PYTEST)
	@PYTHONPATH=tests:. $(BIN)/python -m chaos --verbose $(CHAOS)

simulate: setup
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(SIMULATE)

simulate-mutants: setup
	@$(BIN)/python -m tests.simulation --hunt --seeds $(SEEDS) $(SIMULATE)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup
	@$(BIN)/python -m bench $(WORKLOADS) $(addprefix --database=,$(DATABASES)) $(BENCH)

fuzz: setup
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(BIN)/python -m pytest -n $(JOBS) -o timeout=0 tests/fuzzing $(PYTEST)

clean:
	rm -rf $(VENV) .bench build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
