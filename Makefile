# Two commands set everything up on a machine with Python 3.11+ and make:
#   make demo    install and run the bundled study; open heterodot-demo/report.html
#   make test    install and run the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# no byte code at install: it is made when a module is first used, which saves some 150 MB
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -q --no-compile
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: demo test test-all lint bench bench-peers docs clean

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Heterodot needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.user

demo: $(VENV)/.user
	$(BIN)/heterodot demo --out heterodot-demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.dev
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --durations=15

# Optional engines: torch first, in the form that does not pull a GPU stack.
test-all: $(VENV)/.dev
	$(INSTALL) torch==2.13.0
	$(INSTALL) -e '.[all]'
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --run-slow

bench: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=min,median,max,rounds --benchmark-sort=name

bench-peers: $(VENV)/.dev
	$(BIN)/python benchmarks/peers/run.py

docs: $(VENV)/.dev
	$(INSTALL) -e '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) heterodot-demo docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
