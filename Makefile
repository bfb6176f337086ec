# make env | make weights | make demo | make test | make bundle

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STREAMCHAR := $(BIN)/streamchar

export OMP_NUM_THREADS ?= 1

.PHONY: env weights demo test lint bundle clean

env: $(VENV)/.done

# torch comes first and pinned, so that no other package pulls another build of it.
$(VENV)/.done: pyproject.toml .ci/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt torch
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt --editable '.[metrics,world,torchmetrics,dev]'
	touch $@

weights: env
	$(STREAMCHAR) weights pull --profile default

demo: weights
	$(STREAMCHAR) run smoke --systems ground_truth,streamchar_ref,cascade_oracle,shuffled_audio,shifted_sound,frozen_picture,static_portrait --reference ground_truth --out runs/demo

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pydoclint --quiet streamchar_ref evals baselines reports
	$(BIN)/lint-imports

test: lint weights
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Pure Python that training needs beside torch, transformers and numpy, for a machine that installs nothing:
# PYTHONPATH=.bundle python -m streamchar_ref.commands.train all --preset base --out runs/base
bundle: env
	$(BIN)/pip install --quiet --upgrade --target .bundle --no-deps annotated-doc click jaxtyping markdown-it-py mdurl pygments rich shellingham typer typing-extensions wadler-lindig

clean:
	rm -rf $(VENV) .bundle runs
