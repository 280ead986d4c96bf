# Kubemotion Web. `make demo` and `make test` need Python 3.12 or newer and make, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# To run it, and to work on it: the second holds the first.
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
# Set PYTHON to choose an interpreter; otherwise the newest suitable one is found.
PYTHON ?=

.PHONY: help setup demo demo-reset check test lint bench screenshots lock

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## a .venv with the locked packages

$(STAMP): requirements/dev.txt deploy/make-venv.sh
	@PYTHON="$(PYTHON)" sh deploy/make-venv.sh $(VENV) requirements/dev.txt
	@touch $(RUNS) $(STAMP)

$(RUNS): requirements/demo.txt deploy/make-venv.sh
	@PYTHON="$(PYTHON)" sh deploy/make-venv.sh $(VENV) requirements/demo.txt
	@rm -f $(STAMP)
	@touch $(RUNS)

demo: $(RUNS)  ## two simulated clusters, an object store and the product, on this machine
	@$(BIN)/python manage.py demo

demo-reset:  ## forget the demo's clusters, data and migrations
	@rm -rf .state/demo && echo "The demo begins anew at the next 'make demo'."

check: $(RUNS)  ## the reference story without a person
	@$(BIN)/python manage.py demo --check
	@$(BIN)/python manage.py demo --check --engine portworx

test: $(STAMP)  ## all tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)  ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy kubemotion_web audit teams clusters migrations_app mover demo
	@$(BIN)/lint-imports

bench: $(STAMP)  ## the benchmarks, results in benchmarks/results/
	@for each in benchmarks/*.py; do $(BIN)/python $$each --json benchmarks/results/$$(basename $$each .py).json || exit 1; done

screenshots: $(STAMP)  ## pictures of every page into screenshots/
	@$(BIN)/python manage.py demo --screenshots screenshots

lock:  ## resolve requirements/*.in into hash-locked requirements/*.txt (needs uv)
	@for each in app mover demo dev; do \
	  uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --output-file requirements/$$each.txt requirements/$$each.in || exit 1; done
