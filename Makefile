# One command per purpose; `make` alone lists them. The environment in .venv is made once, from PyPI alone, and again
# when pyproject.toml or constraints.txt change. Needs Python 3.11 or newer and a C compiler. `make env TORCH=cpu` takes
# torch from PyTorch's own index of CPU builds, without the libraries of a GPU, and the environment stays so.

PYTHON ?= python3
CORES ?= all
WORKERS ?= 2
ARGS ?=

venv := .venv
TORCH ?= $(shell cat $(venv)/.made 2> /dev/null)
TORCH_INDEX ?= https://download.pytorch.org/whl/$(TORCH)
run := PATH="$(CURDIR)/$(venv)/bin:$$PATH"

.PHONY: help why docs readme env test test-fast test-versions test-slurm lint clean-env FORCE

help:
	@echo "make results/summary.tsv   run the experiment of config/config.yaml (CORES=$(CORES); ARGS=... go to snakemake)"
	@echo "make results/<file>        run what is needed for any other result"
	@echo "make why                   what would run again, and because of which change (ARGS=... goes to it)"
	@echo "make docs                  build the documentation as a site, in site/"
	@echo "make readme                write what README.md shows of results/ (needs results/report.html and Chromium)"
	@echo "make test                  run all tests, by WORKERS=$(WORKERS) processes (ARGS=... go to pytest)"
	@echo "make test-fast             run those that take two minutes: no whole runs, nothing slow"
	@echo "make test-versions         run the workflow's tests on the oldest and newest Snakemake and transformers"
	@echo "make test-slurm            run the tests on a real Slurm, installed for it and removed again (as root)"
	@echo "make lint                  check style, types and the workflow"
	@echo "make env                   make the environment in $(venv) (the others do it when needed)"
	@echo "make env TORCH=cpu         the same without the libraries of a GPU, which take several GB"
	@echo "make clean-env             remove that environment"

results/%: $(venv)/.made FORCE
	@$(run) snakemake --cores $(CORES) $@ $(ARGS)

why: $(venv)/.made
	@$(run) python -m intermezzo why $(ARGS)

docs: $(venv)/.made
	@$(venv)/bin/pip install --quiet -e '.[docs]' -c constraints.txt
	@NO_MKDOCS_2_WARNING=1 $(run) mkdocs build --clean
	@echo "site/index.html"

readme: $(venv)/.made
	@$(run) python benchmarks/readme.py results --picture

# A file's tests stay together, in one process: they share the run that its first test makes.
pytest := python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(venv)/.made
	@$(run) $(pytest) $(ARGS)

test-fast: $(venv)/.made
	@$(run) $(pytest) -m "not workflow and not slow" $(ARGS)

test-versions: $(venv)/.made
	@$(run) tests/versions/run $(ARGS)

test-slurm: $(venv)/.made
	@$(venv)/bin/pip install --quiet -e '.[cluster]' -c constraints.txt
	@$(run) tests/slurm/run $(ARGS)

lint: $(venv)/.made
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) mypy
	@$(run) snakefmt --check Snakefile workflow
	@$(run) snakemake --lint

env: $(venv)/.made
	$(same_torch)

# torch comes first and alone: its version is exact, so that no other requirement can make pip weigh further builds. A CPU
# build comes from its index or not at all: with PyPI as a second choice pip would take the large one in silence. Its
# dependencies come from PyPI with all others.
torch_cpu := $(if $(TORCH),--no-deps --index-url $(TORCH_INDEX))
same_torch = @[ ! -e $(venv)/.made ] || [ "$$(cat $(venv)/.made)" = "$(TORCH)" ] || \
	  { echo "error: $(venv) has another build of torch; remove it first: make clean-env" >&2; exit 1; }
$(venv)/.made: pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON); install Python 3.11 or newer, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $$($(PYTHON) --version) is too old; 3.11 or newer is needed, name one: make PYTHON=python3.11" >&2; exit 1; }
	$(same_torch)
	@case "$(TORCH)" in ""|cpu) ;; *) echo "error: TORCH=$(TORCH): give cpu, or leave it out for the build on PyPI" >&2; exit 1;; esac
	@$(PYTHON) -m venv $(venv) || \
	  { rm -rf $(venv); echo "error: $(PYTHON) cannot make environments; install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@$(venv)/bin/pip install --quiet torch -c constraints.txt $(torch_cpu) || \
	  { echo "error: the torch of constraints.txt was not installed$(if $(TORCH), from $(TORCH_INDEX))" >&2; exit 1; }
	@$(venv)/bin/pip install --quiet -e '.[test,real]' -c constraints.txt
	@echo $(TORCH) > $@

clean-env:
	rm -rf $(venv)

FORCE:
