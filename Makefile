# The verbs of this project. What `sam build` runs is in make/build.mk.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
SAM := $(VENV)/sam/bin
PORT ?= 8000
ARCHITECTURE ?= arm64
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

# Only a Python that is given is used: uv would otherwise download one.
export UV_PYTHON_DOWNLOADS := never
# As pip does: the machine's certificate authorities, among which may be that of a company's proxy.
export UV_SYSTEM_CERTS ?= 1
# The tools must not phone home, nor look for an AWS account to lint a file.
export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header
SYNC := $(BIN)/uv pip sync --quiet --require-hashes

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(VENV)/.compiled $(VENV)/runtime/.installed ## Install everything that the other verbs need, into .venv

.PHONY: run
run: $(VENV)/.installed ## Serve the bundle on http://127.0.0.1:8000 (PORT=… for another port)
	@$(BIN)/integrations serve --port $(PORT)

.PHONY: test
# Half of the time a test waits, for a pause between two attempts or for a service that hangs: four for two cores.
test: setup ## Run the tests
	@$(BIN)/pytest -q -n 4 --dist worksteal

# What waits most of its time: services that hang, and the benchmarks in short.
.PHONY: test-slow
test-slow: setup ## Run the tests that take minutes: no secret gets out of any fault, and the benchmarks in short
	@$(BIN)/pytest -q -n 3 --dist worksteal tests/slow

.PHONY: check
check: setup ## Lint, types, generated files, template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/integrations sync --check
	$(SAM)/sam validate --lint
	$(SAM)/sam validate --lint -t template.canary.yaml
	$(SAM)/cfn-lint -a cfn_lint_serverless.rules -t template.yaml template.canary.yaml

.PHONY: build
build: $(VENV)/sam/.installed ## Build what `sam deploy` uploads, into .aws-sam (ARCHITECTURE=x86_64, else arm64; needs Python 3.13)
	@MAKEFLAGS=--no-print-directory $(SAM)/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

# What is built for this machine lies apart from what is built to be deployed. WITH is put before what needs an engine.
.PHONY: sam-local
sam-local: setup ## Run `sam local` on every event, and compare its API with AWS's (needs Docker or Podman)
	@test -n "$(WITH)" || $(BIN)/python -m devtools.engine >/dev/null
	@MAKEFLAGS=--no-print-directory $(SAM)/sam build --build-dir .aws-sam/local \
		--parameter-overrides Architecture=$(MACHINE) >/dev/null
	@BUILT_BUNDLE=.aws-sam/local $(WITH) $(BIN)/pytest -q tests/sam_local

# Its tests build twice and deploy three times: `make test` goes without them.
.PHONY: deploy-rehearsal
deploy-rehearsal: setup $(VENV)/checkov/.installed ## Build, package, lint and deploy into an account on loopback, four minutes (needs Python 3.13)
	@$(BIN)/pytest -q tests/rehearsal

.PHONY: bench
bench: setup ## Measure cold starts and warm calls, about six minutes (needs Python 3.13)
	@$(BIN)/python -m benchmarks.cold_start
	@$(BIN)/python -m benchmarks.warm
	@$(BIN)/python -m benchmarks.catalog

.PHONY: lock
lock: $(VENV)/.installed ## Rewrite the pinned requirements from requirements/*.in
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/dev.in -o requirements/dev.txt
	$(COMPILE) --upgrade requirements/sam.in -o requirements/sam.txt
	$(COMPILE) --upgrade requirements/checkov.in -o requirements/checkov.txt
	$(COMPILE) --upgrade requirements/runtime.in -c requirements/dev.txt -o requirements/runtime.txt
	$(COMPILE) --upgrade requirements/layer.in -c requirements/dev.txt -o layers/common/python/requirements.txt
	$(COMPILE) --upgrade requirements/arxiv.in -c requirements/dev.txt -o functions/arxiv/requirements.txt
	$(COMPILE) --upgrade requirements/authorizer.in -c requirements/dev.txt -o functions/authorizer/requirements.txt
	$(COMPILE) --upgrade requirements/ffmpeg.in -c requirements/dev.txt -o functions/ffmpeg/requirements.txt
	$(COMPILE) --upgrade requirements/google_sheets.in -c requirements/dev.txt -o functions/google_sheets/requirements.txt

.PHONY: clean
clean: ## Remove what the other verbs made; the local store stays
	rm -rf $(VENV) .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/uv: requirements/uv.txt
	@python=$${PYTHON:-$$(sh make/python.sh 3.13 3.12 3.11 -- venv ensurepip)} && "$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

# uv and pip stay where they are because the list names the one and uv spares the other.
$(VENV)/.installed: $(BIN)/uv requirements/dev.txt pyproject.toml
	@$(SYNC) -p $(BIN)/python requirements/uv.txt requirements/dev.txt
	@$(BIN)/uv pip install --quiet -p $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# SAM's tools pin other versions of pydantic and boto3 than the layer has.
$(VENV)/sam/.installed: $(BIN)/uv requirements/sam.txt
	@$(BIN)/uv venv --quiet --clear -p $(BIN)/python $(VENV)/sam
	@$(SYNC) -p $(SAM)/python requirements/sam.txt
	@touch $@

$(VENV)/checkov/.installed: $(BIN)/uv requirements/checkov.txt
	@$(BIN)/uv venv --quiet --clear -p $(BIN)/python $(VENV)/checkov
	@$(SYNC) -p $(VENV)/checkov/bin/python requirements/checkov.txt
	@touch $@

# Where Python is told to write no bytecode, each process of the tests would compile every package anew. Some packages
# have templates among their files that are no Python of their own, which is what may fail.
$(VENV)/.compiled: $(VENV)/.installed $(VENV)/sam/.installed
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib $(VENV)/sam/lib >/dev/null || true
	@touch $@

# What Lambda's own Python has beside its standard library. Not an environment but a folder of wheels for 3.13, so
# that it can be filled without a 3.13.
$(VENV)/runtime/.installed: $(BIN)/uv requirements/runtime.txt
	@rm -rf $(VENV)/runtime
	@$(BIN)/uv pip install --quiet --target $(VENV)/runtime --python-version 3.13 --only-binary :all: --no-deps \
		--require-hashes -r requirements/runtime.txt
	@touch $@
