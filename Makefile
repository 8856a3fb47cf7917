# One command per purpose; `make` alone lists them. The environment in .venv is made once, from PyPI alone, and again
# when pyproject.toml or constraints.txt change. Needs Python 3.11 or newer and a C compiler.

PYTHON ?= python3
CORES ?= all
ARGS ?=

venv := .venv
run := PATH="$(CURDIR)/$(venv)/bin:$$PATH"

.PHONY: help why env test test-slurm lint clean-env FORCE

help:
	@echo "make results/summary.tsv   run the experiment of config/config.yaml (CORES=$(CORES); ARGS=... go to snakemake)"
	@echo "make results/<file>        run what is needed for any other result"
	@echo "make why                   what would run again, and because of which change (ARGS=... goes to it)"
	@echo "make test                  run the tests"
	@echo "make test-slurm            run the tests on a real Slurm, installed for it and removed again (as root)"
	@echo "make lint                  check style, formats and the workflow"
	@echo "make env                   make the environment in $(venv) (the others do it when needed)"
	@echo "make clean-env             remove that environment"

results/%: $(venv)/.made FORCE
	@$(run) snakemake --cores $(CORES) $@ $(ARGS)

why: $(venv)/.made
	@$(run) python -m intermezzo why $(ARGS)

test: $(venv)/.made
	@$(run) python -m pytest $(ARGS)

test-slurm: $(venv)/.made
	@$(venv)/bin/pip install --quiet -e '.[cluster]' -c constraints.txt
	@$(run) tests/slurm/run $(ARGS)

lint: $(venv)/.made
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) snakefmt --check Snakefile workflow
	@$(run) snakemake --lint

env: $(venv)/.made

# torch comes first and alone: its version is exact, so that no other requirement can make pip weigh further builds.
$(venv)/.made: pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON); install Python 3.11 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $$($(PYTHON) --version) is too old; 3.11 or newer is needed, name one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(venv) || \
	  { rm -rf $(venv); echo "error: $(PYTHON) cannot make environments; install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@$(venv)/bin/pip install --quiet torch -c constraints.txt
	@$(venv)/bin/pip install --quiet -e '.[test,real]' -c constraints.txt
	@touch $@

clean-env:
	rm -rf $(venv)

FORCE:
