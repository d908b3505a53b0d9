# `make demo` and `make test` do all the set-up themselves, in .venv, once.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow test-serving test-pages test-wheel test-benchmarks test-next lessons docs figures clean
.DELETE_ON_ERROR:

demo: .venv/installed
	@set -e; result=$$($(BIN)/eyespot train digits --json); \
	run=$$(printf '%s' "$$result" | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["run"])'); \
	echo; $(BIN)/eyespot evaluate "$$run"; \
	echo; echo "The run is $$run, its figures are in $$run/figures. Next: $(BIN)/eyespot --help"

# There is a process for each core already: with more threads in each, they would wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n auto
	$(ONE_THREAD) $(BIN)/pytest -n auto --dist worksteal -m "not slow" $(COVERAGE)

test-slow: .venv/installed-slow .venv-mlflow/installed
	$(BIN)/pytest -m slow
	$(BIN)/pytest tests/engine/test_cuda.py tests/training/test_checkpoint.py

# The server, where neither Keras nor PyTorch is installed.
test-serving: .venv-serving/installed
	.venv-serving/bin/python -m pytest tests/serving -m "not slow"

# The web export is looked at too where ONNX Runtime Web is on this machine, or can be fetched (14 MB).
test-pages: .venv/installed-pages
	-$(BIN)/python -c 'from eyespot.exporting.web import runtime_files; runtime_files()'
	$(BIN)/pytest -k in_browser

# The engine, training and models with the newest nightly Keras; everything else has the versions of constraints.txt.
# Its package has another name and the same files, so keras goes first.
NEXT := tests/test_keras_internals.py tests/test_torch_internals.py tests/engine tests/training tests/models
test-next: .venv-next/installed
	.venv-next/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --pre keras-nightly
	.venv-next/bin/python -m pip list --disable-pip-version-check | grep -i -E "^(keras|torch)"
	.venv-next/bin/python -m pytest -n auto -m "not slow" $(NEXT)

# What a user gets: the wheel, in an empty environment, outside the checkout. It must hold every file of the package.
test-wheel:
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir .venv-wheel/dist .
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt .venv-wheel/dist/*.whl
	@site=$$(.venv-wheel/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	git ls-files eyespot | while read -r file; do \
		test -f "$$site/$$file" || { echo "$$file is not in the wheel." >&2; exit 1; }; \
	done
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	env -u PYTHONPATH $(CURDIR)/.venv-wheel/bin/eyespot train digits

# Each benchmark on tiny data, with `--smoke`.
test-benchmarks: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n auto tests/test_benchmarks.py

lessons: .venv/installed-lessons
	$(BIN)/jupyter nbconvert --to html --execute --ExecutePreprocessor.timeout=-1 --output-dir lessons docs/lessons/*.ipynb

# What the blocks of the first page print, written below them.
docs: .venv/installed-dev
	$(BIN)/python docs/paste.py README.md README.zh-CN.md

# The picture of the first page: the top of a training's report, in Chromium. Needs `EYESPOT_DATA`, or the network.
RUN_OF_FIGURE := fashion-mnist-fashion-cnn-1
figures: .venv/installed
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; run="$$folder/$(RUN_OF_FIGURE)"; \
	$(BIN)/eyespot train fashion-mnist --model fashion-cnn --epochs 12 --no-early-stopping --output "$$run"; \
	$(BIN)/eyespot report "$$run"; \
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1000,1300 \
		--screenshot=docs/figures/report.png "file://$$run/report.html"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eyespot needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e ".[fast]"
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e ".[dev]"
	@touch $@

.venv/installed-lessons: .venv/installed
	$(PIP) -e ".[lessons]"
	@touch $@

.venv/installed-slow: .venv/installed-dev
	$(PIP) -e ".[slow]"
	@touch $@

.venv/installed-pages: .venv/installed-dev
	$(PIP) -e ".[pages]"
	@touch $@

# MLflow's server, which tests start, wants older versions of what eyespot uses too.
.venv-mlflow/installed: tests/mlflow-server.txt
	$(PYTHON) -m venv .venv-mlflow
	.venv-mlflow/bin/python -m pip install --quiet --disable-pip-version-check -r tests/mlflow-server.txt
	@touch $@

.venv-serving/installed: tests/serving-environment.txt
	$(PYTHON) -m venv .venv-serving
	.venv-serving/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/serving-environment.txt -e .
	@touch $@

.venv-next/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv-next
	.venv-next/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	.venv-next/bin/python -m pip uninstall --quiet --yes keras
	@touch $@

clean:
	rm -rf .venv .venv-mlflow .venv-next .venv-serving .venv-wheel .pytest_cache .mypy_cache .ruff_cache
