.DEFAULT_GOAL := help
# Debian's own is optimised by profile and a seventh faster than one compiled without that, as version managers do.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) python3.11)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests that start no network: they run beside the others.
CALM   := tests/architecture tests/charts tests/crds tests/image tests/property tests/tilt tests/unit
.PHONY: help up demo test install protos lint types layering proto-lint check unit fuzz chaos cluster-test bench lock clean

help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/lock.txt pyproject.toml services/client/pyproject.toml $(shell find protos -name '*.proto') build_protos.py
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || python3.11 -m venv --clear $(VENV) || \
		python3 -m venv --clear $(VENV)
	@echo "Installing into $(VENV) (once, and after dependencies or protos change) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e services/client -e .
	@touch $(STAMP)

install: $(STAMP) ## Make .venv and install everything into it, from the hashed lock

up: $(STAMP) ## Start a whole network on this machine; Ctrl-C stops it (FRESH=1 empties its data first)
	@$(BIN)/naisho network up $(if $(FRESH),--fresh)

demo: $(STAMP) ## Let two accounts talk over a network, and show path, receipts and latency
	@$(BIN)/naisho network demo

protos: $(STAMP) ## Generate code from protos/ again
	@$(BIN)/python build_protos.py

lint: $(STAMP) ## Style, layering and protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/buf lint

types: $(STAMP) ## Strict types
	@$(BIN)/mypy services/client/src
	@$(BIN)/mypy services operators tests tilt/restarting.py build_protos.py --exclude '^services/client/' --exclude '/events/v1/'

check: lint types ## Every gate but the tests

unit: $(STAMP) ## Only the quick tests
	@$(BIN)/pytest -q tests/unit tests/property tests/architecture

test: check ## Lint, types, layering, protos and all tests (under fifteen minutes on two cores)
	@$(BIN)/python -m tests.charts.helm_binary
	@$(BIN)/pytest -q -p no:cacheprovider $(CALM) > .calm-tests.log 2>&1 & calm=$$!; \
		$(BIN)/pytest $(CALM:%=--ignore=%); rest=$$?; \
		wait $$calm; calm=$$?; cat .calm-tests.log; rm .calm-tests.log; exit $$((rest || calm))

fuzz: $(STAMP) ## Fuzz every parser of untrusted bytes for longer (INPUTS=1000000)
	@NAISHO_FUZZ_INPUTS=$(or $(INPUTS),1000000) $(BIN)/pytest -q tests/property/fuzz --timeout 0

chaos: $(STAMP) ## Every accident over and over, alone and together (ROUNDS=10)
	@NAISHO_CHAOS_ROUNDS=$(or $(ROUNDS),10) $(BIN)/pytest -q tests/chaos/test_nothing_lost.py --timeout 0

cluster-test: $(STAMP) ## The chart on a real Kubernetes, under load, accident by accident; writes docs/operating
	@NAISHO_CLUSTER_TEST=1 $(BIN)/python -m tests.cluster.two_hundred
	@$(BIN)/python -m tests.cluster.with_lab $(abspath $(BIN))/python -m tests.cluster \
		--image docker.io/library/naisho:under-test --other-image docker.io/library/naisho:upgraded

bench: $(STAMP) ## Speed and memory beside the ceilings of their parts; writes docs/benchmark.md and .svg
	@$(BIN)/python -m tests.bench

lock: ## Make requirements/lock.txt anew from both pyproject files (needs uv)
	@python3 requirements/inputs.py | uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q - -o requirements/lock.txt

clean: ## Remove what make made (not the networks' data)
	@rm -rf .calm-tests.log $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
