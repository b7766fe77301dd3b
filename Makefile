# Everything happens in .venv beside this file; the pins are in requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo docs docs-check bench test test-browser test-slow lint lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV): torch, ray and what they need, 2 to 6 GB, the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/install.py
	@touch $(STAMP)
	@echo "Ready. For the command raylab2f: . $(BIN)/activate"

demo: setup
	$(BIN)/raylab2f run-cv --folds 10

# The site, in build/site; a broken link, a missing page or a reference to nothing is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/site/index.html"

# Every command and every piece of Python that README and docs print, on small data.
docs-check: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "" tests/documents

# What is claimed of speed, one thread each, in a quarter of an hour; the tables go to benchmarks/*.md.
bench: setup
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/bootstrap_speed.py
	$(BIN)/python benchmarks/evaluate_scale.py

# Tests on clusters wait a lot, so two processes share the tests.
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

# A report in a real browser, Debian's Chromium; screenshots go to build/screenshots.
test-browser: setup
	@command -v chromium chromium-browser google-chrome > /dev/null || \
	  { echo "Installing Chromium."; apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } > /dev/null
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/browser

# Whole runs that show one thing more: rarer faults, other stores, growing clusters, the experiments.
test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

# Renew the pins that pyproject.toml no longer allows; with UPGRADE=--upgrade all.
lock:
	$(BIN)/python tools/lock.py $(UPGRADE)

clean:
	rm -rf $(VENV) build *.egg-info
