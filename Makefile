# The targets, each with its line of help: `make help`.

PYTHON := .venv/bin/python
SEED ?= 1
ARGS ?=
# Tests wait more than they compute: one process more than there are processors.
JOBS ?= $(shell expr $$(nproc) + 1)
PYTEST := $(PYTHON) -m pytest -q -n $(JOBS) --dist loadscope
# What is formatted and linted (scripts without an ending are named one by one).
SOURCES := src tests bench scripts/lock scripts/run-demo
SETUP := scripts/setup pyproject.toml requirements/run.txt

.DEFAULT_GOAL := help
.PHONY: help run setup test check format lint types fast bench crash mutants fuzz lock clean

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: .venv/ready-run ## set up all that is needed and start the demo server under var/demo
	@exec $(PYTHON) scripts/run-demo $(ARGS)

setup: .venv/ready-dev ## make .venv with what development and tests need

test: .venv/ready-dev ## run every test (under 10 minutes); names what it skips and how to have it
	$(PYTEST) -rs $(ARGS)

check: format lint types fast ## format, lint, types, fast tests (under a minute)

format: .venv/ready-dev ## tell which files the formatter would change
	.venv/bin/ruff format --check --quiet $(SOURCES) || \
		{ echo "format: .venv/bin/ruff format $(SOURCES)" >&2; exit 1; }

lint: .venv/ready-dev ## run the linter
	.venv/bin/ruff check --quiet $(SOURCES)

types: .venv/ready-dev ## check the types of the server
	.venv/bin/mypy

fast: .venv/ready-dev ## run the tests that need no other program and take no seconds
	$(PYTEST) -m "not slow and not interop" $(ARGS)

bench: .venv/ready-bench ## measure against Postfix, into docs/benchmarks (ARGS="--quick --only 1k-10")
	$(PYTHON) -m bench.run $(ARGS)

crash: .venv/ready-dev ## crash at every disk operation and commit, then kill -9 of server and commands (SEED=n)
	$(PYTHON) -m tests.crash --seed $(SEED) $(ARGS)

mutants: .venv/ready-dev ## remove each sync, lock and order check in turn: a test must fail
	$(PYTHON) -m tests.mutants $(ARGS)

fuzz: .venv/ready-dev ## run the parsers' fuzz targets for longer (ARGS="-k smtp")
	HYPOTHESIS_PROFILE=fuzz $(PYTHON) -m pytest -q -m fuzz $(ARGS)

lock: .venv/ready-dev ## write requirements/*.txt anew (ARGS=--keep: same versions)
	$(PYTHON) scripts/lock $(ARGS)

clean: ## remove what was built, the demo instance included
	scripts/clean

.venv/ready-run: $(SETUP)
	scripts/setup run

.venv/ready-dev: $(SETUP) requirements/dev.txt
	scripts/setup dev

.venv/ready-bench: $(SETUP) requirements/dev.txt requirements/bench.txt
	scripts/setup bench
