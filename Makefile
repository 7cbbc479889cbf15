# Everything a clone needs is Python (3.11 or newer, with venv) and make. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types bench prove kills clean lock lowest wheel

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the hash-checked lock file

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("batchrunner needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## run the main job: a small campaign against the embedded emulator
	$(BIN)/batchrunner run manifests/demo.yaml

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

check: $(READY) lint types ## lint and types

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY) ## measure, side by side with a plain script
	$(BIN)/python bench/throughput.py
	$(BIN)/python bench/memory.py
	$(BIN)/python bench/startup.py

prove: $(READY) ## prove the safety: 20,000 simulated nights, every crash point, every broken rule, 400 kills, 5,000 manifests
	$(BIN)/python bench/prove.py $(ARGS)
	$(BIN)/python -m bench.manifests
	$(BIN)/python -m bench.kills --kills 400

kills: $(READY) ## kill the real program 400 times and count what that cost
	$(BIN)/python -m bench.kills --kills 400

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .

lock: ## renew requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --all-extras --group dev pyproject.toml -o requirements.lock

lowest: ## run the tests with the lowest versions that pyproject.toml allows (needs uv)
	$(PYTHON) -m venv --clear $(VENV)-lowest
	uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --no-header --no-annotate \
	  --all-extras --group dev pyproject.toml -o $(VENV)-lowest/versions.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r $(VENV)-lowest/versions.txt
	PYTHONPATH=. $(VENV)-lowest/bin/python -m pytest -n 4 --dist worksteal $(ARGS)

clean: ## remove what these targets made; state/ and outputs/ stay
	rm -rf $(VENV) $(VENV)-lowest dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
