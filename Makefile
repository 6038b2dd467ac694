# Everything happens in .venv/ and .local/; `make help` lists the targets.
# GNU make 3.81 (macOS) is enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.intra42-installed
LOCK  := requirements.lock
CODE  := dags plugins include dev tests bench

# A component of Airflow starts in half the time from compiled bytecode.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Run both DAGs against the simulator, then stay up until Ctrl-C (ONCE=1: stop)
	@exec $(BIN)/python -m dev.demo $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: test
test: setup lint ## Lint, then run the whole test suite
	@exec $(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: bench
bench: setup ## Run the benchmarks; the result is bench/results/latest.json
	@exec $(BIN)/python -m bench

.PHONY: lint
lint: setup ## Check style, formatting, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if grep -q '^\[tool\.importlinter' pyproject.toml; then \
	  PYTHONPATH=plugins $(BIN)/lint-imports; \
	fi

.PHONY: fmt
fmt: setup ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: setup
setup: $(STAMP) ## Make .venv and install requirements.lock (happens by itself)

# PYTHON=... chooses another interpreter. The stamp is written last: a .venv that was interrupted
# half-way has none, and is made again.
PYTHON ?=
$(STAMP): $(LOCK)
	@python=""; \
	for candidate in $(PYTHON) $(if $(PYTHON),,python3.13 python3.12 python3.11 python3); do \
	  if "$$candidate" -c 'import ensurepip, venv, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	      >/dev/null 2>&1; then \
	    python="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "intra42 needs Python 3.11, 3.12 or 3.13 with its venv module:" \
	    "install one (Debian: python3-venv) or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	  exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	   ! $(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV); \
	fi; \
	echo "Installing $(LOCK) into $(VENV), a minute or two the first time"; \
	$(BIN)/python -m pip install --quiet --no-input -r $(LOCK); \
	touch $@

.PHONY: lock
lock: ## Pin the newest versions that requirements*.txt allow in requirements.lock
	@rm -rf $(VENV)-lock
	@python3 -m venv $(VENV)-lock
	@$(VENV)-lock/bin/pip install --quiet uv
	@{ echo "# Made by \`make lock\` from requirements*.txt, for Python 3.11 to 3.13."; \
	   $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	     --fork-strategy fewest --no-header --no-annotate requirements*.txt; } > $(LOCK).new
	@mv $(LOCK).new $(LOCK)
	@rm -rf $(VENV)-lock

.PHONY: clean
clean: ## Forget the demo's state (.local/); the next demo starts from nothing
	rm -rf .local
