# The two commands of a fresh clone: `make demo` and `make test`. Both need Python 3.11 or later and make,
# and set everything else up in .venv. `make PYTHON=python3.12 demo` takes another Python.

ifndef PYTHON
PYTHON := $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'print("$(p)")' 2>/dev/null)))
endif
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
PICTURE ?= examples/plate_with_holes.png

.PHONY: demo test check bench pictures clean help

demo: $(VENV)/installed ## set up and write the script of the part on a picture (PICTURE=...)
	@$(BIN)/cadcoder generate $(PICTURE)

test: $(VENV)/installed-dev ## set up and run the tests
	@$(BIN)/python -m pytest

check: $(VENV)/installed-dev ## set up, then lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/installed-dev ## set up and run the benchmarks
	@for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python "$$b" || exit 1; done

pictures: $(VENV)/installed-dev ## draw the pictures of examples/ and docs/images/demo.png anew
	@for s in examples/*.py; do $(BIN)/cadcoder render "$$s" -o "$${s%.py}.png" || exit 1; done
	@$(BIN)/python docs/draw_demo.py

clean: ## remove .venv and what was built
	rm -rf $(VENV) build dist *.egg-info

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@echo "setting up $(VENV) (a few minutes, once)" >&2
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(PIP) -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(PIP) -e ".[dev,train,eval]"
	@touch $@ $(VENV)/installed
