# One door to everything. `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help venv demo demo-canal test test-all lint format bench cluster lock schemas clean

python := .venv/bin/python
# auto: full nodes where root and packages are there, else the control plane, else in memory; k3s only when asked for
CLUSTER ?= auto
ONLY ?=
ARGS ?=
INSTALL ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## .venv with the pinned requirements and this checkout; does nothing when nothing changed
	@deploy/make/run.sh deploy.make.venv

demo: venv ## the told story: two nodes, a bad release, a cut link, a held canal [CLUSTER=auto|full|control_plane|memory|k3s] [ARGS=--keep]
	@$(python) -m deploy.make.capabilities --build --cluster $(CLUSTER)
	@$(python) -m deploy.demo --cluster $(CLUSTER) $(ARGS)

demo-canal: venv ## a bad day on a canal of EPA SWMM in two minutes: indicators, build/demo-canal.svg; fails on an unsafe event [ARGS="--hours 6"]
	@$(python) -m deploy.demo_canal $(ARGS)

test: venv ## all tests but the slow ones and those on full nodes (under 15 minutes on 2 cores) [ARGS="-k name"]
	@$(python) -m deploy.make.capabilities --build
	@$(python) -m deploy.make.tests --side-by-side "not full_node and not slow" $(ARGS)

test-all: test ## `make test`, then the slow ones and those on full nodes (these need root)
	@$(python) -m deploy.make.tests "full_node or slow" $(ARGS)

lint: venv ## ruff, mypy --strict, import contracts, architecture tests: all of them, also after one failed
	@$(python) -m deploy.make.lint

format: venv ## puts the code in ruff's format
	@$(python) -m ruff check --select I --fix --quiet . && $(python) -m ruff format .

bench: venv ## measures, writes build/bench.json and docs/benchmarks.md [ONLY=name]
	@$(python) -m deploy.make.capabilities --build
	@$(python) -m tests.bench $(ONLY)

cluster: venv ## checks this machine and builds the local cluster; as root, INSTALL=1 first installs the packages it names
	@$(if $(filter 1,$(INSTALL)),$(python) -m deploy.local_cluster install)
	@$(python) -m deploy.local_cluster preflight
	@$(python) -m deploy.local_cluster build

lock: venv ## writes requirements/*.txt anew [UPGRADE=1]
	@UPGRADE=$(UPGRADE) deploy/make/lock.sh

schemas: venv ## exports the JSON Schemas of the contracts, the CLI reference and the table of alarms to docs/reference
	@$(python) -m deploy.schemas docs/reference/schemas
	@$(python) -m deploy.cli_docs
	@$(python) -m deploy.alarm_docs
	@$(python) -m deploy.site_docs
	@$(python) -m deploy.gate_cli_docs
	@$(python) -m deploy.openapi

clean: ## removes what builds and checks left in the tree (.venv and the cluster's cache stay)
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
