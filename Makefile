# Everything is installed below .venv and .tools, from versions and hashes in the requirements files.
# Targets are stamp files: what has not changed is not done again, and needs no network.

# Servers start many times in tests and benchmarks, and each would compile MLflow's modules for itself.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(CURDIR)/.tools

# A real S3 server for the tests, built where there is Go; without it rclone, a Python wheel, stands in.
VERSITYGW := $(TOOLS)/versitygw-v1.7.0

# The charm's integration tests run it with the real Pebble, which is built where there is Go.
PEBBLE := $(TOOLS)/pebble-v1.32.1

# Older MLflows that make the databases which tests upgrade, each in an environment of its own.
RELEASES := 2.9 2.22 3.1 3.9
RELEASE_REQUIREMENTS := server/tests/support/releases/requirements-mlflow

# The oldest supported Python decides; the result holds for newer ones, amd64 and arm64.
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

CODE := $(wildcard conftest.py server/src server/tests src lib tests tools bench)

# Where `make image` puts the image: the registry add-on of MicroK8s. bundle.yaml names it too.
IMAGE ?= localhost:32000/mlflow-tracking-server
PYTEST_ARGS ?=
# Tests that share servers stay in one process, which starts them once (conftest.py). Three, as tests wait a lot.
PROCESSES ?= --numprocesses 3 --dist loadgroup --no-loadscope-reorder

# uv is quick; pip stands in for it where only pip's settings name a package mirror.
define install
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $(1) \
		|| $(BIN)/pip install --quiet --require-hashes --requirement $(1)
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve bench bench-report bench-gc wrk test test-all lint format lock reference charm image functional controller setup releases browser network mariadb clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

serve: $(VENV)/.server  ## Serve http://127.0.0.1:5000, with all data below ./data (ARGS="--port 5001")
	@exec $(BIN)/tracking-server serve $(ARGS)

test: setup  ## Run the fast tests (PYTEST_ARGS="server/tests/unit -k health")
	$(BIN)/pytest -m "not slow" $(PROCESSES) $(PYTEST_ARGS)

test-all: setup releases mariadb  ## Run all tests
	$(BIN)/pytest $(PROCESSES) $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## Check style, format and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)

format: $(VENV)/.dev  ## Put the code into its format
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

lock: $(VENV)/.python  ## Compile the requirements files anew (ARGS="--upgrade" or "--upgrade-package NAME")
	$(LOCK) $(ARGS) --group build --output-file requirements-build.txt
	$(LOCK) $(ARGS) --output-file server/requirements.txt server/pyproject.toml
	$(LOCK) $(ARGS) --group charm --output-file requirements.txt
	$(LOCK) $(ARGS) --group functional --output-file requirements-functional.txt
	for release in $(RELEASES); do \
		$(LOCK) $(ARGS) --group mlflow-$$(echo $$release | tr . -) --output-file $(RELEASE_REQUIREMENTS)-$$release.txt || exit; \
	done
	$(LOCK) $(ARGS) --group dev --constraint server/requirements.txt --constraint requirements.txt --output-file requirements-dev.txt

reference: $(VENV)/.dev  ## Write docs/reference.md anew, from the charm's YAML files
	@$(BIN)/python -m tools.charm_reference > docs/reference.md.new && mv docs/reference.md.new docs/reference.md

charm:  ## Pack ./mlflow-tracking-k8s.charm (needs charmcraft and LXD)
	@command -v charmcraft >/dev/null || { echo 'charmcraft is needed: sudo snap install charmcraft --classic' >&2; exit 1; }
	rm -f mlflow-tracking-k8s*.charm
	charmcraft pack
	mv mlflow-tracking-k8s_*.charm mlflow-tracking-k8s.charm

image:  ## Pack the charm's image and push it to IMAGE=… (needs rockcraft and LXD)
	@command -v rockcraft >/dev/null || { echo 'rockcraft is needed: sudo snap install rockcraft --classic' >&2; exit 1; }
	rm -f server/mlflow-tracking-server_*.rock
	cd server && rockcraft pack
	rockcraft.skopeo --insecure-policy copy $(if $(filter localhost:%,$(IMAGE)),--dest-tls-verify=false) \
		oci-archive:$$(echo server/mlflow-tracking-server_*.rock) \
		docker://$(IMAGE):$$(sed -n 's/^version: "\(.*\)"/\1/p' server/rockcraft.yaml)

# An environment of its own, because pytest-operator holds pytest back.
functional: controller $(VENV)/.functional  ## Test on a real controller (needs juju 3.6 on MicroK8s, and make charm image)
	$(VENV)/functional/bin/pytest -c tests/functional/pytest.ini tests/functional $(PYTEST_ARGS)

controller:
	@command -v juju >/dev/null || { echo 'juju is needed: sudo snap install juju --channel 3.6/stable' >&2; exit 1; }
	@juju whoami >/dev/null || { echo 'A controller is needed: juju bootstrap microk8s' >&2; exit 1; }
	@test -e mlflow-tracking-k8s.charm || { echo 'The charm is needed: make charm image' >&2; exit 1; }

$(VENV)/.functional: $(VENV)/.python requirements-functional.txt
	@echo "Installing the tools of the functional tests"
	@$(BIN)/python -m venv --clear $(VENV)/functional
	@$(VENV)/functional/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-functional.txt
	@touch $@

bench: $(VENV)/.dev $(VERSITYGW).tried wrk browser  ## Measure against stock MLflow (ARGS="--json results.json")
	PYTHONPATH=server/tests $(BIN)/python -m bench $(ARGS)

bench-report: $(VENV)/.dev  ## Write docs/performance.md and its plots from results (ARGS="results.json")
	PYTHONPATH=server/tests $(BIN)/python -m bench.report $(ARGS)

bench-gc: $(VENV)/.dev  ## Measure garbage collection against stock MLflow's (ARGS="--runs 1000 --rounds 1")
	PYTHONPATH=server/tests $(BIN)/python -m bench.gc $(ARGS)

setup: $(VENV)/.dev $(VERSITYGW).tried $(PEBBLE).tried $(TOOLS)/mlflow-2.22/.installed browser network  ## Install what the tests need

clean:  ## Remove what make installed and what tools cached; ./data stays
	rm -rf $(VENV) $(TOOLS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.python: requirements-build.txt
	@for python in $(PYTHON) python3.12 python3.11 python3.13 python3; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	done; \
	if [ -z "$$python" ]; then echo 'Python 3.11 or newer is needed (PYTHON=/path/to/python3).' >&2; exit 1; fi; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV) || { \
		rm -rf $(VENV); echo "The venv module is incomplete; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-build.txt
	@touch $@

$(VENV)/.server: $(VENV)/.python server/requirements.txt server/pyproject.toml
	@echo "Installing the server"
	@$(call install,server/requirements.txt)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable server
	@touch $@

$(VENV)/.dev: $(VENV)/.server requirements-dev.txt
	@echo "Installing tools for tests and checks"
	@$(call install,requirements-dev.txt)
	@touch $@

$(VERSITYGW).tried:
	@mkdir -p $(TOOLS)
	@if command -v go >/dev/null; then \
		echo "Building versitygw, the tests' S3 server (minutes, once)"; \
		GOBIN=$(TOOLS)/build go install github.com/versity/versitygw/cmd/versitygw@v1.7.0 2>$(TOOLS)/go.log \
			&& mv $(TOOLS)/build/versitygw $(VERSITYGW) || { tail -3 $(TOOLS)/go.log; echo "rclone stands in for it"; }; \
	fi
	@touch $@

releases: $(RELEASES:%=$(TOOLS)/mlflow-%/.installed)

$(TOOLS)/mlflow-%/.installed: $(RELEASE_REQUIREMENTS)-%.txt | $(VENV)/.python
	@echo "Installing MLflow $* in an environment of its own, for tests of migrations"
	@$(BIN)/python -m venv --clear $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --require-hashes --requirement $< \
		|| $(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# Not by `go install`, which asks for a list of versions that not every module proxy has.
$(PEBBLE).tried: | $(VENV)/.python
	@mkdir -p $(TOOLS)
	@if command -v go >/dev/null; then \
		echo "Building Pebble, which the charm's integration tests run"; \
		folder=$$(go mod download -json github.com/canonical/pebble@v1.32.1 2>$(TOOLS)/go-pebble.log \
			| $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["Dir"])') \
			&& cd "$$folder" && go build -o $(PEBBLE) ./cmd/pebble 2>>$(TOOLS)/go-pebble.log \
			|| { tail -3 $(TOOLS)/go-pebble.log; echo "No Pebble: the charm's integration tests will be skipped"; }; \
	fi
	@touch $@

wrk:
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y wrk >/dev/null; }

browser:
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium, the tests' browser"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else echo "No Chromium here: the browser tests will be skipped."; fi

# After the browser, as apt-get does one thing at a time.
network: | browser
	@if command -v ip >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing iproute2, for networks between the charm's units in tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends iproute2 >/dev/null; \
	else echo "No iproute2 here: the charm's integration tests will be skipped."; fi

# The programs alone: the package mariadb-server would also start a server of its own.
mariadb: | network
	@if command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing MariaDB, from which tests copy"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			mariadb-server-core mariadb-client-core >/dev/null; \
	else echo "No MariaDB here: the test that copies from it will be skipped."; fi
