# Everything runs in .venv, which these targets make by themselves. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
AXE := tests/console
# one more than there are processors: many tests wait for servers
TESTS ?= -n $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)") --dist worksteal
# the tests start Python some hundred times: what is compiled once is kept, where the environment says otherwise, too
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-all fuzz-api drill sdks moto axe players check format bench bench-service bench-far bench-cluster bench-console capacity picture screenshots clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: .venv/base ## Draw a short film and make a sprite sheet and a WebVTT track of it
	$(BIN)/python scripts/demo.py demo-output

test: .venv/dev sdks moto axe ## Run the tests (the full tables have a fixed sample here)
	$(BIN)/python -m pytest $(TESTS)

test-all: .venv/dev sdks moto axe ## Run the tests with the full tables of media and faults
	$(BIN)/python -m pytest $(TESTS) -m "not players"

fuzz-api: .venv/dev ## Call the API 2,000 times as Schemathesis makes it up, each time otherwise (about a minute)
	$(BIN)/python -m pytest -m full tests/acceptance/test_fuzz_api.py

drill: .venv/dev moto ## Kill workers, servers and databases again and again under 500 jobs; none may be lost (some minutes)
	$(BIN)/python tests/drill/run.py

sdks: .venv/dev ## Install the official SDKs that the tests call the API with, apart from everything else
	$(BIN)/python scripts/install_sdks.py

moto: .venv/dev ## Install moto, which the tests take for Amazon, apart from everything else
	$(BIN)/python scripts/install_sdks.py moto

axe: ## Install axe-core, which looks at the console's pages for those who do not see them; only where npm is
	@command -v npm >/dev/null && { cmp -s $(AXE)/package-lock.json $(AXE)/node_modules/.installed || \
	  { cd $(AXE) && npm ci --no-audit --no-fund --silent && cp package-lock.json node_modules/.installed; }; } || \
	  echo "axe-core was not installed: the tests that need it will be left out"

players: .venv/dev ## Show our tracks in real players in Chromium, and read them with their parsers (needs npm; ALL=1 for the full table)
	cd tests/players && npm ci --no-audit --no-fund --silent
	$(BIN)/python -m pytest -m "players$(if $(ALL),, and not full)" -n 3 --dist loadfile tests/players

check: .venv/dev ## Format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: .venv/dev ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev ## Measure speed and memory against the floor and the peers (about 25 minutes, 4 GiB of disk)
	$(BIN)/python benchmarks/run.py --markdown docs/performance.md

bench-service: .venv/dev ## Measure the service: submits, jobs, and what it takes when idle (about 6 minutes)
	$(BIN)/python benchmarks/service.py --markdown docs/performance.md

bench-far: .venv/dev ## Measure bytes, requests and seconds of videos in a store 30 ms away (about 8 minutes, 6 GiB of disk)
	$(BIN)/python benchmarks/far.py --markdown docs/performance.md

bench-cluster: .venv/dev ## Measure many processes on one external PostgreSQL (about 9 minutes, 1 GiB of disk)
	$(BIN)/python benchmarks/cluster.py --markdown docs/performance.md

bench-console: .venv/dev ## Measure after how long the console's pages can be used, in Chromium (about 2 minutes)
	$(BIN)/python benchmarks/console.py --markdown docs/performance.md

capacity: .venv/dev ## Measure what a slice takes, and simulate a day of ten million jobs (about 6 minutes, 1 GiB of disk)
	$(BIN)/python benchmarks/capacity.py --markdown docs/capacity.md
	$(BIN)/python benchmarks/day.py --markdown docs/capacity.md

picture: .venv/base ## Make the README's picture anew
	$(BIN)/python scripts/demo.py demo-output --picture docs/images/sheet.jpg

screenshots: .venv/dev ## Make the documentation's pictures of the console anew, in Chromium
	$(BIN)/python scripts/make_screenshots.py docs/images

clean: ## Remove what the other targets have made
	rm -rf .venv .sdks .moto $(AXE)/node_modules demo-output benchmarks/.cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/base: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stillframe needs Python 3.11 or newer; run: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .
	@touch $@

.venv/dev: .venv/base
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[server,dev]'
	@touch $@
