# Bare `make` lists the verbs. Each verb first makes .venv from the pins (bootstrap.py), which is quick when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup clients peers run test check build sam browser rehearse bench types plan deploy adopt status destroy pins

PORT ?= 3000
# Which environment of samconfig.toml `make build` builds: default (arm64, for AWS), local (for `sam local`), or edge (us-east-1's).
ENV ?= default
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
CHROMIUM ?= /usr/bin/chromium

export PYTHONPATH := $(CURDIR)/layers/nearside:$(CURDIR)
export SAM_CLI_TELEMETRY := 0
export CHROMIUM
# Where a machine forbids bytecode, SAM and moto would be compiled anew at every start.
unexport PYTHONDONTWRITEBYTECODE

# `sam build` looks for python3.13 on PATH.
SAM := PATH="$(BIN):$$PATH" $(BIN)/sam
BUILT := .aws-sam/$(if $(filter default,$(ENV)),build,$(ENV))
# Of dnspython, what the edge function never imports: a third of its package, which every edge would have to fetch.
UNUSED := $(addprefix $(BUILT)/OriginRouterFunction/dns/,dnssecalgs quic rdtypes)
COMPILE := $(BIN)/python -m compileall -q -f --invalidation-mode unchecked-hash
# bootstrap.py takes a uv from PATH where it cannot install its own.
UV = $(or $(wildcard .uv/bin/uv),uv)
PIN = $(UV) pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make pins'
# On a machine that cannot reach a registry this starts Docker and makes the image that SAM looks for.
LAMBDA_IMAGE := $(wildcard ../shared/lambda-image/build)

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## .venv with every tool, from the pins (every verb does this first)
	@$(PYTHON) bootstrap.py

run: setup ## the local world with sample data, the API on http://localhost:3000 (PORT=3100 for another port)
	@$(BIN)/python -m local run --port $(PORT)

clients: setup .clients/made ## the AWS CLI and s3fs, in a venv of their own, for the tests of the gateway

.clients/made: tests/gateway/clients.txt
	@$(UV) venv -q --clear --python $(BIN)/python .clients
	@$(UV) pip install -q --python .clients/bin/python --require-hashes -r $<
	@touch $@

peers: setup .peers/made ## the libraries that bench/cache.py measures beside ours, in a venv of their own

.peers/made: bench/peers.txt
	@$(UV) venv -q --clear --python $(BIN)/python .peers
	@$(UV) pip install -q --python .peers/bin/python --require-hashes -r $<
	@touch $@

test: clients ## the tests that need neither Docker nor a browser, with coverage
	$(BIN)/pytest -n auto -rs --cov --cov-report=term:skip-covered tests/unit tests/contract tests/integration tests/gateway tests/cache $(wildcard tests/live)

check: setup ## style, types and templates
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cd functions/origin_records && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache/origin_records .
	$(BIN)/cfn-lint template.yaml $(wildcard stacks/*.yaml)
	$(SAM) validate --lint
	$(SAM) validate --lint -t stacks/edge.yaml

build: setup ## sam build with bytecode, into .aws-sam/build (ENV=local: for this machine, ENV=edge: the edge's)
	$(SAM) build --config-env $(ENV)
	@rm -rf $(UNUSED)
	@for folder in $(BUILT)/*Function; do $(COMPILE) -s $$folder -p /var/task $$folder || exit 1; done
	@for folder in $(BUILT)/*Layer; do test ! -d $$folder || $(COMPILE) -s $$folder -p /opt $$folder || exit 1; done

sam: setup ## every function with every event in real containers against the local world (needs Docker)
	@$(or $(LAMBDA_IMAGE),docker version >/dev/null || { echo "make sam: no Docker here; it needs a running one"; exit 1; })
	$(MAKE) build ENV=local
	$(MAKE) build ENV=edge
	$(BIN)/pytest tests/sam

browser: setup ## the pages in a real browser (needs chromium and npm)
	@command -v npm >/dev/null || { echo "make browser: no npm here; the tests fetch the frontends' libraries with it (apt-get install npm)"; exit 1; }
	@test -x "$(CHROMIUM)" || { echo "make browser: no chromium at $(CHROMIUM); install it (apt-get install chromium) or give CHROMIUM=<path>"; exit 1; }
	$(BIN)/pytest -n 2 tests/browser

rehearse: setup ## every template in an emulator, and the deploy command run against it: killed, resumed, taken down
	$(BIN)/python -m local.rehearsal
	$(BIN)/pytest -n auto tests/rehearse tests/deploy

bench: peers ## the measured promises, each against a peer in the same run
	$(MAKE) build ENV=local
	$(MAKE) build ENV=edge
	@set -e; for bench in bench/*.py; do echo "== $$bench"; $(BIN)/python $$bench; done

types: setup ## web/api.d.ts, the API's types for frontends, from the types that the code decodes and encodes
	@$(BIN)/python -m local.api_types

plan: setup ## what `make deploy` would do with nearside.toml (docs/deploy.md)
	@$(BIN)/python -m deploy plan

deploy: setup ## build, then make or change every stack in order; asks first (YES=1: does not); run it again after a failure
	@test -f nearside.toml || { echo "make deploy: no nearside.toml; copy nearside.example.toml (docs/deploy.md)"; exit 1; }
	$(MAKE) build
	$(MAKE) build ENV=edge
	@$(BIN)/python -m deploy deploy $(if $(YES),--yes)

adopt: setup ## what adopting your own buckets would change (APPLY=1: change it, BATCH=1: copy what is older too, UNDO=1: go back)
	@$(BIN)/python -m deploy adopt $(if $(APPLY),--apply) $(if $(BATCH),--batch) $(if $(UNDO),--undo) $(ARGS)

status: setup ## stacks, access point and replication (DRIFT=1: what was changed by hand)
	@$(BIN)/python -m deploy status $(if $(DRIFT),--drift)

destroy: setup ## delete every stack; refused while there are objects (REGION=: only those of a region that was taken out)
	@$(BIN)/python -m deploy destroy $(if $(REGION),--region $(REGION))

pins: setup ## compile the requirements.txt files again, with the newest versions
	$(PIN) requirements-uv.in -o requirements-uv.txt
	$(PIN) layers/nearside/requirements.in -o layers/nearside/requirements.txt
	$(PIN) functions/origin_router/requirements.in -o functions/origin_router/requirements.txt
	$(PIN) functions/origin_records/requirements.in -o functions/origin_records/requirements.txt
	$(PIN) functions/monitor/requirements.in -o functions/monitor/requirements.txt
	$(PIN) functions/replica_events/requirements.in -o functions/replica_events/requirements.txt
	$(PIN) tests/gateway/clients.in -o tests/gateway/clients.txt
	$(PIN) bench/peers.in -o bench/peers.txt
	$(PIN) functions/gateway/requirements.in -o functions/gateway/requirements.txt
	$(PIN) functions/replicator/requirements.in -o functions/replicator/requirements.txt
	$(PIN) requirements.in -o requirements.txt
