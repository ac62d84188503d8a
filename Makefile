# `make demo` shows what Tilewright does, `make test` checks everything. Both work in a fresh clone:
# they make .venv and fill it. Stamps in .venv remember what was installed, so a second run is quick.

PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=

# 1: a target that cannot run here fails its tests. 0: it skips them.
export TILEWRIGHT_REQUIRE_ALL ?= 1

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
# mypy refuses a folder without Python files.
TYPED_FOLDERS = $(foreach folder,tests benchmarks examples scripts,$(if \
	$(shell find $(folder) -name '*.py' -print -quit 2>/dev/null),$(folder)))

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench asv clean

help:
	@echo "make demo    install the package with what a user gets, and show it at work"
	@echo "make test    install every test tool, then lint, type-check and test"
	@echo "make check   the same without installing anything"
	@echo "make lint    ruff and mypy only"
	@echo "make format  let ruff rewrite the files"
	@echo "make bench   kernels against NumPy"
	@echo "make asv     the suites whose numbers are kept over versions, in .asv/"
	@echo "make clean   remove everything that these made"

demo: $(VENV)/.demo-installed
	$(VENV)/bin/python -m benchmarks.demo

test: $(VENV)/.all-installed
	$(MAKE) check

check: lint
	scripts/run_tests.sh -n $(JOBS) $(PYTEST_ARGS)

lint:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy $(TYPED_FOLDERS)

format:
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.all-installed
	$(VENV)/bin/tilewright bench

asv: $(VENV)/.all-installed
	$(VENV)/bin/asv machine --yes
	$(VENV)/bin/asv run --python=same --set-commit-hash=HEAD

clean:
	rm -rf $(VENV) dist build demo_output .mypy_cache .pytest_cache .ruff_cache .hypothesis .asv
	rm -rf tests/web/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what is installed ---

# Editable, so that the links in src/ are what runs; `wheel` is only tested.
$(VENV)/.demo-installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[demo]'
	touch $@

$(VENV)/.all-installed: pyproject.toml $(VENV)/.system-tools $(VENV)/.npm-packages
	$(PIP) install --editable '.[all]'
	touch $@ $(VENV)/.demo-installed

$(VENV)/.system-tools: scripts/install_test_tools.sh | $(VENV)/bin/python
	scripts/install_test_tools.sh
	touch $@

# Only if the web tests have packages of their own.
$(VENV)/.npm-packages: $(wildcard tests/web/package.json tests/web/package-lock.json) | $(VENV)/.system-tools
	$(if $(wildcard tests/web/package.json),npm --prefix tests/web install --no-audit --no-fund)
	touch $@

$(VENV)/bin/python:
	scripts/make_venv.sh $(PYTHON) $(VENV)
