# Everything runs from .venv, with the Java that setup chose (.venv/clv_env).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo check test-fast test test-slow test-faults test-long bench docs clean

PY := .venv/bin/python
RUN := source .venv/clv_env;
# Python keeps what it compiled, also where the caller says otherwise: the many processes of the
# tests would each compile every test anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
# --foreground keeps Ctrl-C working; without the command (macOS) there is no limit.
LIMIT = $(if $(shell command -v timeout),timeout --foreground -k 30 $(1))

LINES ?= 20000000
CUSTOMERS ?= 600000
FITS ?= 2000000
FITS_LARGE ?= 20000000
SCORES ?= 2000000
# 43000000 is about 50 million contracts, and takes 45 minutes.
HOLDERS ?= 2000000

# Folders without a JVM, so that the others need not even be read.
FAST := tests/economics tests/kernels tests/models tests/unit clv_spark

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv: pinned packages, Java 17 or 21, Delta JARs (fast when up to date)
	@bash scripts/setup.sh

demo: setup ## Score the customers of a real shop into a local lake and show the result
	@$(RUN) $(call LIMIT,900) .venv/bin/clv-spark demo

check: setup ## Style, formatting and types
	$(call LIMIT,120) $(PY) -m ruff check .
	$(call LIMIT,120) $(PY) -m ruff format --check .
	$(call LIMIT,600) $(PY) -m mypy

test-fast: setup ## The tests that need no JVM (less than half a minute)
	$(call LIMIT,300) $(PY) -m pytest -q -n 2 --dist loadgroup -m "not long and not studies" $(FAST)

test: check ## Style, types and all tests except the slow and long ones (about 10 minutes)
	$(RUN) $(call LIMIT,3000) $(PY) -m pytest -q -n 2 --dist loadgroup -m "not slow and not long"

test-slow: setup ## Rare cases that take a while; a change is checked with make test test-slow
	$(RUN) $(call LIMIT,3000) $(PY) -m pytest -q -n 2 --dist loadgroup -m "slow and not long"

test-faults: setup ## Kill real runs at every named point, also the long cases, and what else may befall a run
	$(RUN) $(call LIMIT,7200) $(PY) -m pytest -q -n 2 --dist loadgroup -m faults

test-long: setup ## All other long tests: nights at random against rebuilds, backfill, contracts and more
	$(RUN) $(call LIMIT,14400) $(PY) -m pytest -q -n 2 --dist loadgroup -m "long and not faults"

bench: setup ## Time fits and scoring, the whole job beside DuckDB with lifetimes, and its stages
	$(RUN) $(call LIMIT,3600) $(PY) benchmarks/fits.py --customers $(FITS) --large $(FITS_LARGE)
	$(RUN) $(call LIMIT,1800) $(PY) benchmarks/scoring.py --customers $(SCORES)
	$(RUN) $(call LIMIT,14400) $(PY) benchmarks/contracts.py --customers $(HOLDERS)
	$(RUN) $(call LIMIT,14400) $(PY) benchmarks/bench.py --lines $(LINES) --customers $(CUSTOMERS)
	$(RUN) $(call LIMIT,14400) $(PY) benchmarks/stages.py --lines $(LINES) --customers $(CUSTOMERS)

docs: setup ## Write docs/tables.md anew from the table specifications
	$(PY) -m clv_spark.schemas.docs > docs/tables.md.new
	mv docs/tables.md.new docs/tables.md

clean: ## Remove .venv, caches and the demo's lakes
	rm -rf .venv build dist lake lake_telco *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf spark-warehouse metastore_db derby.log benchmarks/work
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
