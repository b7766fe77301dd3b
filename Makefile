# Everything happens in .venv beside this file; the pins are in requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo test test-slow lint lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	$(BIN)/raylab2f run-cv --folds 10

test: setup lint
	$(BIN)/python -m pytest

# Whole runs that show one thing more: rarer faults, other stores, growing clusters, the experiments.
test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Renew the pins; needs `uv`.
lock:
	uv pip compile --quiet --universal --python-version 3.10 --extra dev --extra cluster --extra segment --extra mlflow --no-header \
		pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
