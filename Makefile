# Every command a person types; `make` alone lists them. Whatever stands behind a verb as key=value is for
# Hydra: pipeline/forward.py hands it on unchanged. Nothing here reads a variable that a person could mean
# as a key: our own names are in capitals and `override`, so that data=, model= or run= clobber nothing.
override SHELL := /bin/sh
override PY := .venv/bin/python
override STAMP := .venv/installed
override RUN := $(PY) -m pipeline.forward
override CHECKED := pipeline datamodules lightning_modules
override VERBS := help setup train sweep compare register sync find_lr average ensemble evaluate predict export enroll identify verify stylize models data browse ui test test-slow bench throughput lint format lock clean
override DELETIONS := $(filter ~%,$(MAKECMDGOALS))
override STRANGERS := $(filter-out $(VERBS) $(STAMP) ~%,$(MAKECMDGOALS))

# The interpreter that .venv is made from: make setup PYTHON=python3.12
PYTHON ?= python3.11

.DEFAULT_GOAL := help
.PHONY: $(VERBS) $(DELETIONS)
.DELETE_ON_ERROR:

# A waiting thread must not take the processor from another process; see the measurements in docs/.
export OMP_WAIT_POLICY ?= PASSIVE
# A short spin before it sleeps: small detectors train a fifth faster, and another process loses little.
export GOMP_SPINCOUNT ?= 2000
export NO_ALBUMENTATIONS_UPDATE ?= 1
export MLFLOW_DISABLE_TELEMETRY ?= true
test test-slow: export OMP_NUM_THREADS := 1
# What a person typed, for pipeline/forward.py. With `make -e`, MAKEFLAGS itself would arrive unexpanded.
export override PIPELINE_FLAGS = $(MAKEFLAGS)
export override PIPELINE_DELETIONS := $(DELETIONS)

# Make would put every key=value into the environment of the recipes, and on the way there expand it:
# seed=$(shell ...) would be run. The values travel in MAKEFLAGS, where they are left alone.
# (The loop's variable has a dot, because the one that it would hide could not be seen.)
$(foreach .name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(.name)))),$(eval unexport $(.name))))

ifneq ($(STRANGERS),)
$(error no verb '$(firstword $(STRANGERS))'; `make` alone lists them. Words for Hydra have the form key=value or \
~key, and what make itself does not take goes into ARGS="...")
endif

help: ## list the verbs (also: make)
	@echo "make <verb> [key=value ...] [ARGS=\"...\"]"
	@grep -E '^[a-z_-]+:.* ## ' Makefile | sed -E 's/:.* ## /:/' | awk -F: '{printf "  %-10s  %s\n", $$1, substr($$0, length($$1) + 2)}'

setup: $(STAMP) ## create .venv and install requirements.lock, if it is out of date
	@echo "ready: $(STAMP) is up to date"

train: $(STAMP) ## train: make train task=classification model=lenet5 optimizer.lr=0.01
	@$(RUN) pipeline.train

sweep: $(STAMP) ## several runs that differ in a few values: make sweep model=lenet5,resnet8 optimizer.lr=0.1,0.01
	@$(RUN) pipeline.sweep

compare: $(STAMP) ## runs side by side, only where they differ: make compare task=detection (or sweep=latest)
	@$(RUN) pipeline.compare

register: $(STAMP) ## give a run's network a name in the registry: make register run=latest name=digits alias=champion
	@$(RUN) pipeline.register

sync: $(STAMP) ## send what waits on disk because the MLflow server was away
	@$(RUN) pipeline.sync

find_lr: $(STAMP) ## at which learning rates the loss falls: make find_lr task=classification model=resnet18
	@$(RUN) pipeline.find_lr

average: $(STAMP) ## average weights, kept if no worse: make average run=latest which=last_k k=5
	@$(RUN) pipeline.average

ensemble: $(STAMP) ## several networks that answer as one: make ensemble task=classification model=lenet5 members=5
	@$(RUN) pipeline.ensemble

evaluate: $(STAMP) ## measure a run on a split: make evaluate run=latest split=test
	@$(RUN) pipeline.evaluate

predict: $(STAMP) ## predict files: make predict run=latest input=photographs/ output=table.csv
	@$(RUN) pipeline.predict

export: $(STAMP) ## write a run's network to a file: make export run=latest format=onnx output=model.onnx
	@$(RUN) pipeline.export

enroll: $(STAMP) ## let a run know people: make enroll run=latest input=people/ gallery=people.parquet
	@$(RUN) pipeline.enroll

identify: $(STAMP) ## say who images show: make identify run=latest gallery=people.parquet input=photographs/
	@$(RUN) pipeline.identify

verify: $(STAMP) ## say whether two images show the same: make verify run=latest a=one.jpg b=two.jpg
	@$(RUN) pipeline.verify

stylize: $(STAMP) ## paint photographs: make stylize run=latest input=photographs/ style=painting.jpg output=painted/
	@$(RUN) pipeline.stylize

models: $(STAMP) ## list the models with size, cost, source and paper: make models format=json
	@$(RUN) pipeline.models

data: $(STAMP) ## read a data set and list what is broken in it: make data task=detection data=digit_scenes
	@$(RUN) pipeline.data

browse: $(STAMP) ## draw what a network will see: make browse data=digits transforms=heavy
	@$(RUN) pipeline.browse

ui: $(STAMP) ## serve the MLflow pages of all runs: make ui port=5000
	@$(RUN) pipeline.ui

test: $(STAMP) ## run the fast tests: make test ARGS="-k signatures"
	@$(RUN) pytest -n auto

test-slow: $(STAMP) ## run the tests that take longer than five seconds each
	@$(RUN) pytest -m slow -n auto --dist loadscope --durations=12

bench: $(STAMP) ## measure the cost of a training step beside a bare loop: make bench ARGS="--steps 8"
	@$(RUN) tests.benchmarks.detection_step

throughput: $(STAMP) ## images per second and share of the chip's peak: make throughput ARGS="--network resnet50"
	@$(RUN) tests.benchmarks.throughput

lint: $(STAMP) ## check style, types and who imports whom
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy $(CHECKED)
	@.venv/bin/lint-imports --no-logo

format: $(STAMP) ## put the code into the project's style
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: | .venv/bin/uv ## write requirements.lock anew from pyproject.toml and constraints.txt: make lock ARGS=--upgrade
	@$(RUN) uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra dev --constraint constraints.txt --output-file requirements.lock pyproject.toml

clean: ## remove caches and build folders; runs, data and .venv stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
	@find . -name .venv -prune -o -name outputs -prune -o -name data -prune -o -name __pycache__ -type d -prune \
		-exec rm -rf {} +

$(DELETIONS):
	@:

.venv/bin/uv:
	@command -v "$(PYTHON)" > /dev/null || { \
		echo "$(PYTHON) is not there; install Python 3.11 or name another: make setup PYTHON=python3.12" >&2; exit 2; }
	@echo "[1/3] creating .venv with $(PYTHON)"
	@"$(PYTHON)" -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv

# The stamp is written last, so that an interrupted installation is taken up again.
$(STAMP): requirements.lock pyproject.toml | .venv/bin/uv
	@rm -f $@
	@echo "[2/3] installing requirements.lock into .venv (a minute or two; only when it has changed)"
	@.venv/bin/uv pip install --quiet --python $(PY) --compile-bytecode --require-hashes -r requirements.lock
	@echo "[3/3] installing this project"
	@.venv/bin/uv pip install --quiet --python $(PY) --no-deps -e .
	@touch $@
