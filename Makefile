# Everything runs in .venv, which is made on first use and brought up to date when the
# dependencies change: first what a sweep needs, and what tests need when they are run.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt --editable

.PHONY: help setup sweep test proofs gpu lint

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 16

setup: .venv/ready ## make .venv with what a sweep needs, in the tested versions

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[lite]'
	@touch $@

.venv/dev-ready: .venv/ready
	$(INSTALL) '.[dev]'
	@touch $@

sweep: setup ## compare two models, frozen first or not, on the digits; writes a report
	$(BIN)/python train.py -m model=resnet18,mobilenet_v3_small freeze_epochs=0,5

test: .venv/dev-ready ## run every test, after installing what tests need
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

proofs: .venv/dev-ready ## the long proofs: kills, workers, faults, scale and more; see docs/proofs.md
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/proofs -s

gpu: .venv/dev-ready ## what only a GPU can show, and how fast it is; says so where there is none
	$(BIN)/python -m tests.gpu

lint: .venv/dev-ready ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
