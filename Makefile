# make env | make weights | make demo | make test | make bundle
# make lock | make test-lowest | make test-latest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STREAMCHAR := $(BIN)/streamchar
PULL := $(STREAMCHAR) weights pull --profile default
EXTRAS := metrics world torchmetrics serve cluster dev
PYTEST := pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
BUNDLE := annotated-doc|click|jaxtyping|markdown-it-py|mdurl|pygments|rich|shellingham|typer|typing-extensions|wadler-lindig
entries = awk '/^[^ \#]/ {wanted = /^($(1))==/} wanted' requirements.lock
LOCKED := --quiet --no-compile --no-deps --require-hashes --no-build-isolation --use-pep517

export OMP_NUM_THREADS ?= 1
# Where it is set, every process compiles torch and all else anew: seconds each, in dozens of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env weights demo test test-faults lint types style bundle lock test-lowest test-latest clean

env: $(VENV)/.done

# Every file is checked against the hash in the lock. setuptools comes first: it builds what is no
# wheel. A torch that is there is kept; without one the CPU build is taken, if the index has it. The
# last line adds the libraries of a CUDA build, and nothing to a CPU build.
$(VENV)/.done: pyproject.toml requirements.lock torch-cpu.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(call entries,setuptools) > $(VENV)/setuptools.lock
	$(BIN)/pip install $(LOCKED) --requirement $(VENV)/setuptools.lock
	$(BIN)/pip show --quiet torch 2> /dev/null || $(BIN)/pip install $(LOCKED) --requirement torch-cpu.lock || echo 'The package index has no CPU build of torch for this Python: taking the build it has.'
	$(BIN)/pip install $(LOCKED) --requirement requirements.lock
	$(BIN)/pip install --quiet torch
	rm -rf streamchar.egg-info  # an earlier build's would hide the entry points of this one
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

weights: env
	$(PULL)

# Without some of the weights the rest still works: what cannot be had is named, and goes unmeasured.
# A clip in which a judge sees no mouth move is a result of the model, no failure of the demo.
demo: env
	-$(PULL)
	$(STREAMCHAR) run smoke --systems ground_truth,streamchar_ref,cascade_oracle,shuffled_audio,shifted_sound,frozen_picture,static_portrait --reference ground_truth --max-failures 0.02 --out runs/demo

lint: env
	$(MAKE) --jobs 2 --output-sync types style

types:
	$(BIN)/mypy

style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pydoclint --quiet streamchar_ref evals baselines reports
	$(BIN)/lint-imports

test: lint
	-$(PULL)
	$(BIN)/$(PYTEST)

# Thousands of hostile inputs, and kills, races and full disks, not in CI; prints a table, and names that
# make a failure again: .venv/bin/python -m tests.faults NAME. Another seed has other inputs:
# make test-faults FAULTS=5000 KILLS=360 RACES=100 DISKS=120 SEED=7 JOBS=4
FAULTS ?= 2000
KILLS ?= 360
RACES ?= 100
DISKS ?= 120
SEED ?= 1
JOBS ?= 2
test-faults: env
	$(BIN)/python -m tests.faults --inputs $(FAULTS) --kills $(KILLS) --races $(RACES) --disks $(DISKS) --seed $(SEED) --jobs $(JOBS)

# Tested for Python 3.11 on Linux x86_64; what is there stays, with UPGRADE=1 the newest versions are taken.
lock: env
	$(BIN)/uv pip compile pyproject.toml --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.lock

# The oldest versions that pyproject.toml allows, and the newest that pip finds: when a dependency
# changes and before a release, not in CI.
test-lowest: env
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(BIN)/uv pip compile pyproject.toml --quiet --no-config --no-deps --resolution lowest-direct --python $(VENV)-lowest $(EXTRAS:%=--extra %) --output-file $(VENV)-lowest/requirements.txt
	$(VENV)-lowest/bin/pip install --quiet --requirement $(VENV)-lowest/requirements.txt
	$(VENV)-lowest/bin/pip install --quiet --no-deps --editable .
	$(VENV)-lowest/bin/$(PYTEST)

test-latest: env
	$(PYTHON) -m venv --clear $(VENV)-latest
	$(VENV)-latest/bin/pip install --quiet --editable '.[metrics,world,torchmetrics,serve,cluster,dev]'
	$(VENV)-latest/bin/$(PYTEST)

# Pure Python that training needs beside torch, transformers and numpy, for a machine that installs nothing:
# PYTHONPATH=.bundle python -m streamchar_ref.commands.train all --preset base --out runs/base
bundle: env
	$(call entries,$(BUNDLE)) > $(VENV)/bundle.lock
	$(BIN)/pip install $(LOCKED) --upgrade --target .bundle --requirement $(VENV)/bundle.lock

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-latest .bundle runs
