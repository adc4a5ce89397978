# make demo    watch a real workload run to its end      make test    the whole suite
# make lint    ruff, mypy, import rules                  make bench   the figures of docs/performance.md
# make fuzz    damaged frames, envelopes and rows, for FUZZ_SECONDS each (60)
#
# Everything runs in .venv, made on first use and brought up to date when pyproject.toml or Python changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,postgres,mysql
TESTS ?= tests
JOBS ?= 2
WORKLOADS ?=
DATABASES ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench fuzz clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -5

setup:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" EXTRAS="$(EXTRAS)" sh scripts/set_up.sh

demo: setup
	@$(BIN)/python -m examples.catalogue --report build/catalogue.json $(DEMO)

test: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS) $(PYTEST)

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
