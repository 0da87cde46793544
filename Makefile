# Every target sets up what it needs in a virtual environment of its own, once.

PYTHON ?= python3
# Installed first, so that a machine chooses its build of torch: make test TORCH=torch==2.13.0+cpu
TORCH ?= torch==2.13.0
VENV ?= .venv

BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-is-installed
DEV := $(VENV)/.dev-is-installed
MUG := demo/mug/meshes/mug_0_00000
BENCHES := $(sort $(wildcard experiments/bench_*.py))

.PHONY: help demo test lint types bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' Makefile

demo: $(RUNTIME)  ## set up, then sample eight point clouds, and label grasps of a mug in physics
	$(BIN)/pcdiff sample --count 8 --output demo/
	rm -rf demo/mug  # labels of another version there would be refused
	$(BIN)/python -m datasets.household --count 1 --families mug --labels 200 --no-sheet --output demo/mug
	$(BIN)/grasp simulate $(MUG).obj $(subst meshes,grasps/panda,$(MUG)).h5 --picture demo/mug.png
	@echo "Point clouds, their pictures (sheet.png) and the mug with grasps that hold (green) and"
	@echo "that do not (red) (mug.png) are in demo/"

test: lint types  ## set up, then check style, types and all tests
	$(BIN)/python -m pytest

lint: $(DEV)  ## set up, then check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## set up, then check types
	$(BIN)/mypy

bench: $(DEV)  ## set up, then measure each figure beside its reference
	@for file in $(BENCHES); do \
		module=$$(basename $$file .py); \
		echo "$(BIN)/python -m experiments.$$module"; \
		$(BIN)/python -m experiments.$$module || exit; \
	done

clean:  ## remove caches, builds and demo/; the environment (.venv/) and runs/ stay
	rm -rf build demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment without pip is one whose making was cut short: make it again.
$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("pcdiff-grasp needs Python 3.11 or newer, but $(PYTHON) is %d.%d: name another with make PYTHON=python3.11" % v[:2])'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[makers]"
	@touch $@

$(DEV): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@
