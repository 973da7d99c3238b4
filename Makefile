# Every target makes its own ground: .venv is built on the first call and again when pyproject.toml changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help demo test lint chaos prove bench fmt events requirements clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

help:
	@echo "make demo          the whole world on this machine: NetBox, fabrics, broker, function (DEMO_ONCE=1: one round)"
	echo "make test          every test (ARGS='-k name' for some, ARGS='-n0 -k name' for one after the other)"
	echo "make lint          format, lint, types, import rules, rules of the repository"
	echo "make chaos         every fault at every place and moment (ARGS='--only netbox'); writes reports/chaos.md"
	echo "make prove         heavy proofs that it always answers (ARGS='storm', 'soak', 'secrets', 'users'); writes reports/"
	echo "make bench         measure (ARGS: what)"
	echo "make fmt           format the code, and mend what can be mended"
	echo "make events        write docs/events (schemas, examples, AsyncAPI) from functions/contract"
	echo "make requirements  make requirements.txt from pyproject.toml"
	echo "make clean         take away what was made, the sandbox's state included"

$(READY): pyproject.toml
	@python=
	for candidate in python3.13 python3.12 python3 \
	  $$(command -v pyenv >/dev/null && ls -d "$$(pyenv root)"/versions/3.1[2-9]*/bin/python 2>/dev/null | sort -rV); do
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
	    python=$$candidate
	    break
	  fi
	done
	if [ -z "$$python" ]; then
	  echo "No Python 3.12 or newer was found (with venv and ensurepip): install one, for example the packages python3 and python3-venv." >&2
	  exit 1
	fi
	echo "== $(VENV): made with $$("$$python" -V) (again whenever pyproject.toml changes)"
	[ -x $(BIN)/python ] && $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
	  || "$$python" -m venv --clear $(VENV)
	[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	# Byte code now, once, also where PYTHONDONTWRITEBYTECODE is set: every later start is seconds faster.
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode \
	  --editable '.[cli,sandbox]' --group dev
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q functions infra tests bench
	touch $(READY)

demo: $(READY)
	@exec $(BIN)/python -m functions.demo

# Two files at a time, each of the two with a NetBox of its own: much of the time is waiting for deadlines.
test: $(READY)
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY)
	@echo "== format"; $(BIN)/ruff format --check .
	echo "== lint"; $(BIN)/ruff check .
	echo "== types"; $(BIN)/mypy
	echo "== imports"; $(BIN)/lint-imports
	echo "== repository"; $(BIN)/python -m pytest -q tests/test_repository.py

chaos: $(READY)
	@exec $(BIN)/python -m tests.chaos $(ARGS)

prove: $(READY)
	@exec $(BIN)/python -m tests.proofs $(ARGS)

bench: $(READY)
	@exec $(BIN)/python -m bench $(ARGS)

fmt: $(READY)
	@$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

events: $(READY)
	@$(BIN)/python -m functions.contract docs/events

requirements: $(READY)
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --custom-compile-command 'make requirements' --output-file requirements.txt pyproject.toml
	grep -c '==' requirements.txt | sed 's/$$/ packages pinned in requirements.txt/'

clean:
	@rm -rf $(VENV) .sandbox build dist reports .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
