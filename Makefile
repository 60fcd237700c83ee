# make demo     quantized networks on two virtual boards, one table
# make test     the whole test suite, host and virtual boards
# make firmware rebuilds the firmware images that ship inside rigs/, and the descriptions of make packages
# make packages describes firmware/ to CMake, ESP-IDF, Zephyr, PlatformIO, Arduino and CMSIS-Pack
# make fuzz     hostile images and hostile lines for FUZZ_SECONDS (1800), under sanitizers
# make mutants  small mistakes in the arithmetic, each of which a test must catch
# make models trains the conformance models again; make table measures them: the table of README.md
# make bench    instructions per multiply-accumulate, code size, import cost, speed of quantizing
# make faults   the link and the rig under fire: every fault at every stage, kill -9, 100,000 bad frames
# make catalogue  every known fault injected, and whether its cause is named; ten others that must not be
# make hostile damaged models, malicious files, lying boards: no traceback, no hang, no wrong pass
# make extras   each extra of the package alone, in an empty virtual environment; MLflow's page in a browser
# make labgrid  a farm on loopback: coordinator, exporter, two boards, a place that is taken away
# make lint     ruff, mypy, C warnings, clang-format, freshness of the shipped images
#
# Each does its whole set-up first; see tools/setup.sh.

PYTHON := .venv/bin/python
# one more than there are cores: many tests wait for a board
JOBS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))

# the tests start hundreds of Python processes: what one has compiled, the next one need not
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test fuzz firmware packages bench models table mutants lint setup-demo setup-dev setup-fuzz clean faults hostile \
        catalogue extras labgrid

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

setup-demo setup-dev setup-fuzz:
	@tools/setup.sh $(subst setup-,,$@)

demo: setup-demo
	@.venv/bin/quantcheck demo

test: setup-dev
	@$(PYTHON) -m pytest --numprocesses $(JOBS) --dist worksteal $(PYTEST_ARGS)

fuzz: FUZZ_SECONDS ?= 1800
fuzz: setup-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) -m tests.firmware.fuzz

firmware: setup-dev packages
	@$(MAKE) -s -C firmware PYTHON=$(abspath $(PYTHON)) release

packages:
	@python3 firmware/packages.py write

models: setup-dev
	@$(PYTHON) -m conformance_models

table: setup-dev
	@$(PYTHON) -m conformance_models.table --write

bench: setup-dev
	@$(PYTHON) -m tests.bench

mutants: setup-dev
	@$(PYTHON) -m tests.mutants $(MUTANTS)

faults: setup-dev
	@$(PYTHON) -m tests.faults.link
	@$(PYTHON) -m tests.faults.table
	@$(PYTHON) -m tests.faults.kill
	@$(PYTHON) -m tests.faults.baseline_kill

catalogue: setup-dev
	@$(PYTHON) -m tests.catalogue

extras: setup-dev
	@$(PYTHON) -m tests.nightly.extras
	@$(PYTHON) -m tests.nightly.mlflow_page build/mlflow.png

labgrid: setup-dev
	@$(PYTHON) -m tests.nightly.labgrid

hostile: setup-dev
	@$(PYTHON) -m tests.hostile

lint: setup-dev
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) firmware/packages.py check
	@$(MAKE) -s -C firmware PYTHON=$(abspath $(PYTHON)) lint

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .quantcheck
	$(MAKE) -C firmware clean
