# One word for each job of the day. Each target makes its own .venv when there is none.

PYTHON ?= $(shell command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --constraint constraints.txt --build-constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help pilot test lint format bench bench-quick docs constraints clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

pilot: $(VENV)/.run ## tune a real model on real data, measure it and write the report (minutes)
	$(BIN)/zogan demo classification runs/demo

test: $(VENV)/.dev ## run every test, with coverage
	$(BIN)/pytest --quiet --cov --numprocesses auto --dist loadgroup

lint: $(VENV)/.dev ## check style, types and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rows that no package brings: a folder beside the checkout, or DATA=FOLDER.
DATA ?= $(wildcard ../shared/data)
CURVES = $(BIN)/python benchmarks/curves.py --data $(DATA)

bench: $(VENV)/.run ## print a table for each claim; DATA=FOLDER holds banking77/ and e2e-cleaned/
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/compiling.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/doubling.py
	$(BIN)/python benchmarks/patterns.py
	$(BIN)/python benchmarks/patches.py
	$(BIN)/python benchmarks/stacks.py
	$(BIN)/python benchmarks/pilots.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/estimates.py
	$(BIN)/python benchmarks/cache_dtypes.py
	$(BIN)/python benchmarks/allocator.py
	$(BIN)/python benchmarks/larger.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/registry.py
	$(if $(DATA),$(BIN)/python benchmarks/methods.py --data $(DATA),@echo "methods.py needs rows: make bench DATA=FOLDER")
	$(if $(DATA),$(CURVES) --only e2e-cleaned --rows 300 --budget-minutes 60,@echo "curves.py too")
	$(if $(DATA),$(CURVES) --only banking77 --rows 10 --budget-minutes 40)
	$(if $(DATA),$(BIN)/python benchmarks/searches.py --data $(DATA) --budget-minutes 60)

bench-quick: $(VENV)/.run ## print the ratios of a step and of a small curve in under ten minutes
	$(BIN)/python benchmarks/quick.py

docs: $(VENV)/.docs ## build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

constraints: ## take the newest release of everything but torch, and write constraints.txt anew
	./requirements/renew $(PYTHON)

clean: ## remove what these targets made; runs/ stays
	rm -rf $(VENV) site build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up in steps. A stamp is older than what it was made from when the step must be done again.

$(VENV)/.pip: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zogan needs Python 3.11 or later; name one: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV); the first time takes some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt pip
	@touch $@

$(VENV)/.run: $(VENV)/.pip pyproject.toml requirements/demo.txt
	@$(INSTALL) --editable '.[all]'
	@$(INSTALL) --no-deps --requirement requirements/demo.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(INSTALL) --group dev
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml
	@$(INSTALL) --group docs
	@touch $@
