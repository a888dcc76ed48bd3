# Two commands matter: `make demo` shows what Doorbell does, `make test` says whether it does it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
TOOLS := .test-tools
STAMP := $(TOOLS)/requirements.txt
NODE := $(TOOLS)/node
NODE_STAMP := $(NODE)/installed.json
NGINX := $(TOOLS)/nginx/nginx

.PHONY: help
help: ## say what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: ## a shop without webhooks, the bridge and a receiver, in one process
	@$(CARGO) run --locked -- demo

.PHONY: build
build: ## the executable, target/release/doorbell
	$(CARGO) build --release --locked

.PHONY: test
test: lint test-tools ## everything that must pass before a change is taken
	$(CARGO) test --locked

.PHONY: lint
lint: ## form, lints and documentation, each without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items

.PHONY: test-tools
test-tools: $(STAMP) $(NODE_STAMP) $(NGINX) ## what the tests need that nobody here wrote: Kinto, oidc-provider, nginx, verifiers of webhooks

# A stamp is a copy of what was installed: it is written last, and compared rather than dated, so that a fresh
# checkout beside an old folder does the right thing.
ifneq ($(shell cmp -s tests/requirements.txt $(STAMP) && test -x $(TOOLS)/venv/bin/python && echo same),same)
.PHONY: $(STAMP)
endif

ifneq ($(shell cmp -s tests/node/package-lock.json $(NODE_STAMP) && echo same),same)
.PHONY: $(NODE_STAMP)
endif

ifneq ($(shell $(NGINX) -v 2>/dev/null && echo same),same)
.PHONY: $(NGINX)
endif

$(STAMP):
	@rm -rf $(TOOLS)/venv $(STAMP)
	@mkdir -p $(TOOLS)
	@$(PYTHON) -m venv $(TOOLS)/venv || { \
	  echo >&2 'make test needs Python 3.10 or later with its venv module (Debian: apt install python3-venv)'; exit 1; }
	@echo 'installing the test tools into $(TOOLS)'
	@$(TOOLS)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --requirement tests/requirements.txt
	@cp tests/requirements.txt $(STAMP)

$(NODE_STAMP):
	@command -v npm >/dev/null || { echo >&2 'make test needs Node.js 20 or later with npm (Debian: apt install npm)'; exit 1; }
	@rm -rf $(NODE)
	@mkdir -p $(NODE)
	@cp tests/node/package.json tests/node/package-lock.json $(NODE)
	@echo 'installing the test tools into $(NODE)'
	@cd $(NODE) && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null
	@cp tests/node/package-lock.json $(NODE_STAMP)

$(NGINX):
	@tests/nginx.sh $(TOOLS)/nginx

.PHONY: bench
bench: ## the figures that README states, on this machine
	$(CARGO) bench --locked --bench bridge --bench delivery --bench reading

.PHONY: crash
crash: ## the crash test with 1000 kills: about ten minutes
	DOORBELL_CRASH_KILLS=1000 $(CARGO) test --locked --release --test it crash -- --nocapture

.PHONY: clean
clean: ## remove what was built and installed here
	$(CARGO) clean
	rm -rf $(TOOLS)
