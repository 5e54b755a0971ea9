# `make demo` and `make test` are all that a person needs; `make` alone lists the rest.

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode every process compiles torch and pandas anew: half a minute, in hundreds of tests.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := .[lm,web]
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo test setup lint docs plugin clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed ## Hide a tenth of a sample graph in a local Neo4j, and see how much of it kgsync finds
	@$(BIN)/kgsync demo

# Two at a time, each with servers of its own; a file's tests stay together. In the order of their names: xdist would
# begin with the files of many tests, and end with a few long tests on one processor. Each process has one thread: on two
# processors more would wait for each other.
test: lint ## Check the code and run all tests against a real Neo4j
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

setup: $(VENV)/.developed ## Set up .venv with everything that developers need

lint: $(VENV)/.developed ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.developed ## Write docs/commands.md anew
	$(BIN)/python docs/commands.py

plugin: $(VENV)/.developed ## Compile the server plugin and pack its jar (needs a JDK 17)
	$(BIN)/python plugin/build.py

clean: ## Delete what make made (not .kgsync, which is yours)
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Each stamp is younger than all that it stands for, so that a second run does nothing.
$(VENV)/.installed: pyproject.toml $(VENV)/.made
	$(call install,-e '$(EXTRAS)')
	@touch $@

$(VENV)/.developed: pyproject.toml $(VENV)/.made
	$(call install,--group dev -e '$(EXTRAS)')
	@touch $@ $(VENV)/.installed

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "kgsync needs Python 3.11 or newer; on Debian 12: apt install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade uv || echo "Without uv; pip takes minutes."
	@touch $@

# uv installs in seconds what takes pip minutes. Where it cannot be had or finds no index, pip does it.
install = { test -x $(BIN)/uv && $(BIN)/uv pip install --python $(BIN)/python $(1); } || \
	{ $(BIN)/python -m pip install --quiet --upgrade pip && $(BIN)/python -m pip install $(1); }
