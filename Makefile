# Every target does its own set-up: `make test` works from a bare clone on a fresh Debian or Ubuntu.
.DEFAULT_GOAL := help
.PHONY: help test lint demo bench stories upstream load draw fmt matrix servers clean

BIN := .venv/bin

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

test:  ## check style, types and layers, then run all tests, stories and the short benchmark
	@$(MAKE) --no-print-directory --jobs=2 lint servers
	@scripts/test

lint: .venv/stamp  ## check style, types and layers only
	@echo "checking format, style, types and layers ..."
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff . ; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@layers=$$($(BIN)/lint-imports) || { echo "$$layers"; exit 1; }

demo: .venv/stamp  ## watch a small shop leak, and see what poolwatch says
	@$(BIN)/poolwatch demo

bench: .venv/stamp servers  ## measure what poolwatch costs, beside bare, empty listeners and OpenTelemetry
	@bench/otel_env.sh
	@$(BIN)/python -m bench

stories: .venv/stamp servers  ## run every leak story on each of its databases; print recall and false alarms
	@$(BIN)/python -m tests.stories -j 2

upstream: .venv/stamp  ## run SQLAlchemy's own tests bare and under poolwatch, and compare
	@tests/upstream/run.sh

load: .venv/stamp  ## serve 10,000 requests in each framework, and compare what was counted
	@$(BIN)/python -m tests.load

draw: .venv/stamp servers  ## draw the dashboards with Grafana's front-end libraries (Node.js, 500 MB)
	@scripts/draw-dashboards

fmt: .venv/stamp  ## format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

matrix: servers  ## run the fast tests on every Python from 3.10 to 3.13 that is found
	@scripts/matrix

clean:  ## remove the virtual environments and caches
	rm -rf .venv .venv-* .grafana build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

servers:
	@scripts/install-servers

.venv/stamp: pyproject.toml
	@scripts/make-venv .venv
