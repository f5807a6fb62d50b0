# `make` lists the targets; `make report` and `make test` are all that a newcomer needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
OLDEST := $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
# --nolock: the workflow itself locks the study's folder, and that lock dies with its process; Snakemake's outlives it
SNAKEMAKE := $(BIN)/snakemake --nolock --cores all --rerun-incomplete
STUDY ?= config.yaml

.PHONY: help env report workflow-report test test-all bench check-data calibrate check format docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.venv/.complete: requirements.lock pyproject.toml
	@$$(test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) -c 'import sys; sys.version_info >= tuple(map(int, "$(OLDEST)".split("."))) or sys.exit("Python $(OLDEST) or newer is needed, for what requirements.lock names; " + sys.executable + " is " + sys.version.split()[0] + ". Give another by PYTHON=... (and remove .venv, if it was made by this one)")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/threetconv warm-up
	touch $@

env: .venv/.complete  ## make .venv from requirements.lock (plain venv and pip)

report: .venv/.complete  ## run the study (STUDY=config.yaml) and write its HTML and PDF reports
	$(SNAKEMAKE) --configfile $(STUDY)

workflow-report: .venv/.complete  ## Snakemake's own report of the study, workflow.html beside its report
	reports=$$($(BIN)/python -c 'import sys; from pathlib import Path; from threetconv.cli.data import read_study; print(read_study(Path(sys.argv[1]))["output"]["reports"])' $(STUDY)) && \
	mkdir -p "$$reports" && $(SNAKEMAKE) --configfile $(STUDY) --report "$$reports/workflow.html"

test: .venv/.complete  ## the test suite, the smoke study included (some 25 minutes on two cores)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: .venv/.complete  ## everything, full-size networks and long simulations too
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: .venv/.complete  ## benchmarks: ratios within one run, printed and written to benchmarks/*.json
	$(BIN)/python benchmarks/bench_conv.py --json benchmarks/conv.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/bench_decode.py --json benchmarks/decode.json
	$(BIN)/python benchmarks/bench_statistics.py --json benchmarks/statistics.json
	$(BIN)/python benchmarks/bench_statistics.py --rows 1e7 --json benchmarks/statistics_1e7.json

check-data: .venv/.complete  ## check the data sets of a study (STUDY=config.yaml) before training
	$(BIN)/threetconv data check $(STUDY)

calibrate: .venv/.complete  ## simulate 1,000 studies per network at full size: type I error, coverage, power of every test
	$(BIN)/threetconv calibrate --replicates 1000 --workers 2 --out results/calibration_full_size.parquet

check: .venv/.complete  ## lint, format, types, import contract, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/.complete  ## rewrite the sources in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

docs: .venv/.complete  ## write what follows from the model of a study: its reference page, and the schema for editors
	$(BIN)/python workflow/schemas/generate.py

lock: .venv/.complete  ## pin what is installed: requirements.lock, and from it workflow/envs/*.yaml
	$(BIN)/python workflow/envs/pin.py

clean:  ## remove everything that was computed; .venv stays
	find results reports -mindepth 1 ! -name .gitkeep -delete
	rm -rf .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
