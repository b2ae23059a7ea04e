# `make demo` and `make test` work on a fresh machine with Python 3.11 or newer: they create their own environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 30
JOBS ?= 2
# A process for each processor, each with one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto
DEMO := examples/digit_scenes
BUILD := build/demo
SOURCES := pyproject.toml constraints.txt $(wildcard build_tools/* longtail_cli/engine/*.py)

.PHONY: demo test test-cluster test-bounds fuzz lint bench evidence clean

demo: $(VENV)/.installed
	@mkdir -p $(BUILD)
	$(BIN)/ltcal compute-freq $(DEMO)/train.json -o $(BUILD)/freq.csv
	$(BIN)/ltcal rescore $(DEMO)/predictions.json --freq $(BUILD)/freq.csv --method iif -o $(BUILD)/iif.json
	$(BIN)/ltcal rescore $(DEMO)/predictions.json --freq $(BUILD)/freq.csv --method norcal -o $(BUILD)/norcal.json
	$(BIN)/ltcal report $(DEMO)/predictions.json $(BUILD)/iif.json $(BUILD)/norcal.json \
		--name before --name iif --name norcal --annotations $(DEMO)/val.json --max-dets 20 --pooled-ap
	$(BIN)/ltcal report $(DEMO)/logits.npz --annotations $(DEMO)/val.json --freq $(BUILD)/freq.csv --max-dets 20 \
		--method none --method iif --method logit-adjust --method norcal

test: $(VENV)/.installed-test
	$(PYTEST)

# Starts Ray clusters and servers of S3 and Google Cloud Storage on this machine, one test after another.
test-cluster: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/cluster

test-bounds: $(VENV)/.installed-test
	$(BIN)/python build_tools/kernels.py --bounds-check
	LTCAL_BOUNDS_CHECK=1 $(PYTEST) tests/properties tests/parity tests/unit tests/fuzz
	$(BIN)/python build_tools/kernels.py

# Damages the inputs of every command. Failures become folders in tests/fuzz/regressions, which `make test` replays.
fuzz: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) --jobs $(JOBS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/logits.py detection
	$(BIN)/python benchmarks/logits.py classification

# Needs Fashion-MNIST: Debian's package dataset-fashion-mnist, or a folder named by LTCAL_FASHION_MNIST.
evidence: $(VENV)/.installed
	$(BIN)/python benchmarks/evidence/run.py
	$(BIN)/python benchmarks/evidence/scenes.py

clean:
	rm -rf $(VENV) build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[logits]'
	@touch $@

$(VENV)/.installed-test: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,test,lint]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,bench]'
	@touch $@ $(VENV)/.installed
