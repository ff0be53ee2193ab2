# Two commands for users, on a machine with nothing but Python 3.11 (with venv and pip) and make:
#   make demo     audit the bundled classifier in an environment of its own, .venv
#   make test     run the tests in an environment of their own, .venv-test
# and for those who work on the code:
#   make check    format, lint, types and tests; what CI runs
#   make test-transformers4   some of the tests, with transformers 4 and another torch, in
#                 .venv-transformers4
#   make proofs   the long proofs
#   make bench    the measurements
#   make clean    remove every environment, cache and build
#
# Settings: PYTHON=python3.11   which interpreter makes the environments
#           VENV=folder         one environment for whatever is asked
#           TORCH="torch --index-url https://download.pytorch.org/whl/cpu"   another build of torch

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
TORCH ?= torch==2.13.0
CONSTRAINTS := constraints.txt
OUT ?= runs/demo
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

DEMO_ENV := $(or $(VENV),.venv)
TEST_ENV := $(or $(VENV),.venv-test)
FOUR_ENV := $(or $(VENV),.venv-transformers4)

# An activated environment is trusted to have the tools; otherwise make its own.
ifneq ($(and $(VIRTUAL_ENV),$(if $(VENV),,none)),)
DEV_ENV := $(VIRTUAL_ENV)
DEV_READY :=
else
DEV_ENV := $(or $(VENV),.venv-dev)
DEV_READY := $(DEV_ENV)/.ready-dev
endif

SOURCES := $(shell find src -type f -not -path '*/__pycache__/*')
REQUIREMENTS := pyproject.toml constraints.txt constraints-transformers4.txt

# What a version of transformers can break: loading, the parts of every family and its routes
# against plain hooks, the check of routes, the planted classifiers and whole audits of three of
# them, a model whose blocks cannot be called apart, the bundled classifier.
VERSIONED := $(addprefix tests/, $(addprefix model/test_, families.py classifier.py loading.py \
  options.py wrap.py) test_planted_models.py test_fallback.py demo \
  sweep/test_verify.py::test_healthy_routes_pass_and_every_kind_is_checked \
  pipeline/test_planted.py::test_silencing_does_exactly_what_arithmetic_says)

.PHONY: help demo test test-transformers4 check lint tests proofs bench clean

help:
	@sed -n '/^$$/q; s/^# \?//p' Makefile

demo: $(DEMO_ENV)/.ready-demo
	$(DEMO_ENV)/bin/synapse-audit run --preset quick --out $(OUT)
	@echo "The report is $(abspath $(OUT))/report.html: open it in a browser."

test: $(TEST_ENV)/.ready-test
	$(TEST_ENV)/bin/python -m pytest -n auto --dist loadfile

test-transformers4: TORCH = torch==2.14.1
test-transformers4: CONSTRAINTS := constraints-transformers4.txt
test-transformers4: PIP_INSTALL += --no-compile # most of this torch is never imported
test-transformers4: $(FOUR_ENV)/.ready-test
	$(FOUR_ENV)/bin/python -m pytest -n auto --dist loadfile $(VERSIONED)

check: lint tests

lint: $(DEV_READY)
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/mypy

tests: $(DEV_READY)
	$(DEV_ENV)/bin/python -m pytest -n auto --dist loadfile

proofs: $(DEV_READY)
	$(DEV_ENV)/bin/python -m pytest -m proof

bench: $(DEV_READY)
	for script in benchmarks/bench_*.py; do $(DEV_ENV)/bin/python "$$script"; done

clean:
	rm -rf .venv .venv-test .venv-transformers4 .venv-dev build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

# torch goes first and alone, so that a build for another index or device is one setting away.
%/.ready-torch: constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "synapse-audit needs Python 3.11 or newer; $(PYTHON) is %d.%d: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $*
	$*/bin/python $(PIP_INSTALL) $(TORCH)
	@touch $@

# The demo installs what users install: a built wheel, not the working tree. Where one environment
# serves both (VENV=...), each takes the other's place.
%/.ready-demo: %/.ready-torch $(REQUIREMENTS) $(SOURCES)
	$*/bin/python $(PIP_INSTALL) --constraint $(CONSTRAINTS) --upgrade .
	@rm -f $*/.ready-test $*/.ready-dev
	@touch $@

%/.ready-test: %/.ready-torch $(REQUIREMENTS)
	$*/bin/python $(PIP_INSTALL) --constraint $(CONSTRAINTS) --editable '.[test]'
	@rm -f $*/.ready-demo
	@touch $@

%/.ready-dev: %/.ready-torch $(REQUIREMENTS)
	$*/bin/python $(PIP_INSTALL) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@rm -f $*/.ready-demo
	@touch $@

.PRECIOUS: %/.ready-torch %/.ready-demo %/.ready-test %/.ready-dev
