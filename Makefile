# Everything a developer does. Each target sets up what it needs, inside this folder only.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.9
# uv from the PATH when it is there, else a private copy.
UV := $(shell command -v uv || echo .tools/bin/uv)
RUN := .venv/bin

# Real Helms and a real S3 server for tests, built by Go. Without Go those tests skip and say why.
GO_TOOLS := $(if $(shell command -v go),$(addprefix .tools/programs/,helm helm4 versitygw))
export PATH := $(CURDIR)/.tools/programs:$(PATH)
CLUSTER := tests/cluster/cluster

.PHONY: help demo test test-long test-new check bench generate fmt clean images mirror-list test-cluster test-release

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	$(PYTHON) -m pip install --quiet --target .tools uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(filter .tools/%,$(UV))
	$(UV) sync --quiet --frozen --all-extras
	@touch $@

demo: .venv/.synced ## run the fraud example from data to a served prediction
	$(RUN)/fairlead demo

test: .venv/.synced $(GO_TOOLS) ## run the test suite
	env -u KUBECONFIG $(RUN)/pytest

test-long: .venv/.synced $(GO_TOOLS) ## run the tests that take minutes: load tests of a real server, a shipper killed at every step
	env -u KUBECONFIG $(RUN)/pytest -m long

test-new: .venv/.synced ## run the property tests with examples that were not tried before
	$(RUN)/pytest -m hypothesis --hypothesis-profile=new

$(GO_TOOLS): tests/cluster/singlenode/pins.py
	$(PYTHON) $(CLUSTER) program $(@F) --into $(@D)
	@touch -h $@

check: .venv/.synced ## lint, types, layers, generated files fresh
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/python -m tools.generate --check

bench: .venv/.synced ## run every benchmark and print its table
	@for b in cli local_runner data training parity; do $(RUN)/python benchmarks/$$b.py || exit 1; done

images: .venv/.synced ## build the container images (RELEASE=1: refuse bases without a digest; REGISTRY=host/team)
	$(RUN)/python -m tools.images wheels
	$(RUN)/python -m tools.images build $(if $(RELEASE),--release) $(if $(REGISTRY),--registry $(REGISTRY)) $(BASES)

mirror-list: .venv/.synced ## print every image that an installation can need
	@$(RUN)/python -m tools.images mirror-list

test-cluster: .venv/.synced ## boot a Kubernetes node and run the smoke set on it (with KUBECONFIG set: on that cluster)
	tests/cluster/run $(RUN)/pytest -n0 -m "not release" tests/e2e tests/manifests

test-release: .venv/.synced ## the same with the long sets: faults, outages, databases
	tests/cluster/run $(RUN)/pytest -n0 tests/e2e tests/manifests

generate: .venv/.synced ## rewrite schemas, compiled pipelines and the help pages
	$(RUN)/python -m tools.generate

fmt: .venv/.synced ## format and fix what can be fixed
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

clean: ## remove what the other targets made
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
