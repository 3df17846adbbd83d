# Every target creates what it needs; nothing has to be installed by hand except Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test test-slow test-hf lint bench real-sound clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("auscult needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; use make PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch>=2.11"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,speech]'
	touch $@

demo: setup
	$(BIN)/auscult recipe nano --out runs/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# One process per core; a file's tests stay together, for what they make once.
test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: setup
	$(BIN)/python -m pytest -m slow -n auto --dist loadfile

# The common tests of transformers on our classes, in an environment on top of the other one.
test-hf: .venv-hf/ready
	OMP_NUM_THREADS=1 .venv-hf/bin/python -m pytest -c tests_hf/pytest.ini tests_hf

.venv-hf/ready: $(VENV)/ready
	$(BIN)/python -m venv .venv-hf
	$(BIN)/python -c "import site; print(f'import site; site.addsitedir({site.getsitepackages()[0]!r})')" > .venv-hf/base
	.venv-hf/bin/python -c "import shutil, site; shutil.copy('.venv-hf/base', site.getsitepackages()[0] + '/base.pth')"
	.venv-hf/bin/python -m pip install --quiet parameterized==0.9.0
	touch $@

bench: setup
	$(BIN)/python benchmarks/mel.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/gym.py
	$(BIN)/python benchmarks/grounding.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/evaluate.py

# Recordings of real sound into ~/.cache/auscult/real; `make real-sound REAL="--debs FOLDER"` and so on.
# What tinysoundfont depends on is for loudspeakers only and would need a compiler.
real-sound: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[real]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps tinysoundfont
	$(BIN)/auscult real make $(REAL)

clean:
	rm -rf $(VENV) demo gym_item .pytest_cache .ruff_cache .hypothesis
