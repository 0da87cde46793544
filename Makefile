# Every target first sets up what it needs, once, in a virtual environment inside the checkout.

PYTHON ?= python3
# Installed first, so that you can choose the build of torch: make test TORCH=torch==2.13.0+cpu
TORCH ?= torch==2.13.0
VENV ?= .venv

BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-is-installed
DEV := $(VENV)/.dev-is-installed
DOCS := $(VENV)/.docs-is-installed
BENCHES := $(sort $(wildcard experiments/bench_*.py))

.PHONY: help demo test test-extras fuzz test-device lint types docs bench train-field digests clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s%s\n", $$1, $$2 }' Makefile

demo: $(RUNTIME)  ## set up, then sample point clouds, and grasps of a mug and a hammer
	$(BIN)/pcdiff sample --count 8 --output demo/
	$(BIN)/python -m datasets.household --count 2 --families mug,hammer --no-sheet --output demo/objects
	@for thing in mug_0_00000 hammer_0_00001; do \
		$(BIN)/grasp sample demo/objects/meshes/$$thing.obj --count 50 \
			--output demo/$$thing.json --picture demo/$$thing.png && \
		$(BIN)/grasp simulate demo/objects/meshes/$$thing.obj demo/$$thing.json \
			--picture demo/$$thing-physics.png || exit; \
	done
	@echo "demo/ now holds point clouds with their pictures (sheet.png), and grasps of a mug and a hammer"
	@echo "(.json) with two pictures each: coloured by probability of success, and by outcome in physics"

# Two processes of one thread each keep two cores busier than one process of two threads.
test: lint types  ## set up, check style and types, then run the tests that every commit needs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not extras"

test-extras: docs  ## set up, then build the docs and run the long tests
	$(BIN)/python -m pytest -m extras --fail-on-skip

INPUTS ?= 20000
fuzz: $(DEV)  ## set up, then read INPUTS=20000 damaged files with each reader (hours)
	$(BIN)/python -m pytest tests/fuzz -m extras --fuzz-inputs $(INPUTS)

TRAIN_DEVICE ?= cpu
DEVICE ?= cuda
test-device: $(DEV)  ## set up, then hold both heads on DEVICE=cuda against the CPU
	$(BIN)/python -m pytest tests/device --device $(DEVICE)

lint: $(DEV)  ## set up, then check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## set up, then check types
	$(BIN)/mypy

# The variable silences a notice about the successor of MkDocs, which concerns no page.
docs: $(DOCS)  ## set up, then build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(DEV)  ## set up, then measure each figure beside its reference
	@for file in $(BENCHES); do \
		module=$$(basename $$file .py); \
		echo "$(BIN)/python -m experiments.$$module"; \
		$(BIN)/python -m experiments.$$module || exit; \
	done

train-field: $(DEV)  ## set up, then make the weights of the grasp field from nothing (hours; continues)
	$(BIN)/python -m pip install --quiet --editable ".[train]"
	$(BIN)/python -m experiments.train_field --output runs/field --device $(TRAIN_DEVICE)

digests: $(DEV)  ## set up, then compare the results of BASE=REV and of the last commit, bit by bit
	$(BIN)/python -m experiments.digests $(BASE) $(HEAD)

clean:  ## remove caches, builds and demo/; the environment (.venv/) and runs/ stay
	rm -rf build demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment without pip was interrupted while it was being made: make it again.
$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("pcdiff-grasp needs Python 3.11 or newer, but $(PYTHON) is %d.%d: name another with make PYTHON=python3.11" % v[:2])'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[makers]"
	@touch $@

$(DEV): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

# On top of the tools for development, because ruff formats the signatures in the reference.
$(DOCS): $(DEV)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	@touch $@
