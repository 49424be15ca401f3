# The commands of a developer. `make test` needs a Python 3.9 or newer and nothing else: it makes its own
# venv.

PYTHON ?= python3
VENV ?= .venv
DEV_PACKAGES = pytest pytest-benchmark mypy
PYTEST_ARGS ?=
BENCH_ARGS ?=

VENV_PYTHON = $(VENV)/bin/python
READY = $(VENV)/.ready

.PHONY: help check test test-code test-live types demo bench micro profile zipapp clean

help:
	@echo 'make check    types and every test, side by side (under three minutes on two cores)'
	@echo 'make test     every test: unit, contract, integration, and live ones where the servers are installed'
	@echo 'make types    mypy --strict'
	@echo 'make demo     a proxy, two backends and traffic, to look at'
	@echo 'make bench    CPU per operation beside every proxy installed: 10 minutes, or BENCH_ARGS=--quick'
	@echo 'make micro    the cost of single parts (pytest-benchmark)'
	@echo 'make profile  where a round trip goes'
	@echo 'make zipapp   build proxy_core.pyz, the whole program in one file'
	@echo 'make clean    remove what the commands above made'

# The tests in two processes, one of which mostly waits for servers and browsers, beside mypy.
check: $(READY)
	@$(MAKE) --no-print-directory --output-sync=target -j3 types test-code test-live

test-code: $(READY)
	$(VENV_PYTHON) -m pytest -q tests/unit tests/contract tests/integration proxy_core/examples $(PYTEST_ARGS)

test-live: $(READY)
	$(VENV_PYTHON) -m pytest -q tests/live tests/browser $(PYTEST_ARGS)

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 9))' || \
	  { echo 'Python 3.9 or newer is needed' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'no venv module: on Debian it is the package python3-venv' >&2; exit 1; }
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check $(DEV_PACKAGES)
	@touch $@

test: $(READY)
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

types: $(READY)
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) -m mypy --no-namespace-packages proxy_core/examples/*/*.py

demo:
	$(PYTHON) -m proxy_core demo

bench:
	$(PYTHON) -m perf.compare $(BENCH_ARGS)

micro: $(READY)
	$(VENV_PYTHON) -m pytest perf/micro --benchmark-only --benchmark-disable-gc

profile:
	$(PYTHON) -m perf.hotpath

zipapp:
	$(PYTHON) tools/zipapp.py -o proxy_core.pyz

clean:
	rm -rf $(VENV) .venv-3.* .mypy_cache .pytest_cache .benchmarks build dist *.egg-info proxy_core.pyz
	find proxy_core tests perf tools -name __pycache__ -type d -exec rm -rf {} +
