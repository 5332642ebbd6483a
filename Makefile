# Both targets do all their set-up on a machine with Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One thread of arithmetic a process: on busy cores more of them cost many times the time.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint lock clean browser

# The loop, twice round, on footage drawn on the spot.
demo: $(READY)
	$(BIN)/dataengine demo

test: lint browser
	$(BIN)/python -m pytest -n $${PYTEST_WORKERS:-2} --dist loadfile

# The pages are tested in a real browser; where none can be had, those tests say so and are skipped, but not in CI.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
		echo "installing chromium for the tests of the pages"; \
		sudo=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
		export DEBIAN_FRONTEND=noninteractive; \
		$$sudo apt-get update -qq && $$sudo apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	} || echo "no chromium could be had: the tests of the pages will be skipped"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The locked versions; name versions only, never where they come from.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-header --no-annotate --python-version 3.11 \
		--extra cpu --extra train --extra cvat --group dev --upgrade --output-file requirements.lock pyproject.toml
	cd data_engine/web && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit
	# Addresses of those who ask for donations are no part of a lock either.
	cd data_engine/web && $(CURDIR)/$(BIN)/python -c 'import json, pathlib; f = pathlib.Path("package-lock.json"); \
		d = json.loads(f.read_text()); [p.pop("funding", None) for p in d["packages"].values()]; \
		f.write_text(json.dumps(d, indent=2) + "\n")'

$(READY): requirements.lock pyproject.toml hatch_build.py data_engine/web/package.json data_engine/web/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	# Compiled once here: where Python may not write bytecode, each of hundreds of processes would compile PyTorch anew.
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	# Two builds of OpenCV share one folder: the headless one comes last, because it needs no graphics libraries of the system.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall $$(grep ^opencv-python-headless== requirements.lock)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)

clean:
	rm -rf $(VENV) dist build
