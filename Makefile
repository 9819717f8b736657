# Each target works on a bare machine: it first sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEBIAN_PACKAGES := kamailio kamailio-utils-modules kamailio-extra-modules sip-tester chromium postgresql \
  openjdk-17-jre-headless libpango-1.0-0 libpangoft2-1.0-0 fonts-wqy-microhei nginx libnginx-mod-http-lua
DEMO_SECONDS ?= 0
# These share the machine; calls through real peers have it to themselves.
# Long ones first, so that short ones fill the end.
BROWSER_TESTS := $(addprefix tests/e2e/,test_console.py test_live_page.py)
SHARING_TESTS := $(BROWSER_TESTS) $(addprefix tests/,integration fuzz contract property rules arch unit)

.PHONY: setup environment compiled debian demo up test lint bench quality lock

setup: environment compiled

environment: $(VENV)/.installed

compiled: $(VENV)/.compiled

$(VENV)/.installed: requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh deploy/setup.sh $(VENV)
	@touch $@

$(VENV)/.compiled: $(VENV)/.installed $(shell find src -name '*.py')
	@$(BIN)/python -m hutong.app.prepare
	@touch $@

debian:
	@sh deploy/debian.sh $(DEBIAN_PACKAGES)

demo: setup debian
	@$(BIN)/hutong demo --seconds $(DEMO_SECONDS)

up: setup
	@$(BIN)/hutong up

# Checking reads no compiled code, so both go on at once.
test: environment debian
	@$(MAKE) --no-print-directory -j 2 --output-sync=target lint compiled
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(SHARING_TESTS)
	@$(BIN)/python -m pytest tests/e2e $(addprefix --ignore=,$(BROWSER_TESTS))

lint: environment
	@$(BIN)/ruff check src tests bench
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: setup debian
	@$(BIN)/python -m bench

# The tables of docs/quality.md: the same seeds give the same bytes.
quality: setup
	@$(BIN)/hutong quality --page docs/quality.md

# Pins every version with its hashes; names no registry.
lock: environment
	@$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra dev --python-version 3.11 pyproject.toml -o requirements.lock
