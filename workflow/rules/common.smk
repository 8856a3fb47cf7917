# The grid that the configuration describes. The code that runs is the code beside this Snakefile, whatever is installed.
import gc
import os
import sys

gc.disable()  # planning makes millions of objects that all stay: a quarter of its time went into looking for garbage

sys.path.insert(0, os.path.normpath(f"{workflow.current_basedir}/../../src"))

from intermezzo.execution import adoption, containers, snakemake_internals, startup, verification
from intermezzo.config.remarks import remarks
from intermezzo.core.places import PROJECT
from intermezzo.dag import preflight
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.lineage import Lineage
from intermezzo.dag.paths import BASELINE, DISJOINT, LEAKAGE, MODEL, TRAINED_MODEL, one_of
from intermezzo.dag.requests import Requests
from intermezzo.dag.scheduling import Scheduling
from intermezzo.dag.specs import Specs

grid = preflight.grid_of_workflow(
    config,
    snakemake_internals.overlays(workflow),
    imported=snakemake_internals.is_module(workflow),
    moved=snakemake_internals.moves_paths(workflow),
    staged=snakemake_internals.is_staged(workflow),
    plans=snakemake_internals.plans(workflow),
)
if snakemake_internals.is_module(workflow):
    gc.enable()  # whether `onstart` is called is the other workflow's choice
if snakemake_internals.plans(workflow):
    for remark in remarks(grid.config):
        logger.warning(f"warning: {remark}")
inputs = Inputs(grid)
scheduling = Scheduling(grid)
specs = Specs(grid)
lineage = Lineage(specs)
requests = Requests(grid)  # memory and time that jobs ask a cluster for
snakemake_internals.register(workflow)
snakemake_internals.install_patches()  # planning in half the time
snakemake_internals.install_short_lines()  # a reason of a job is a line, not a page
if not snakemake_internals.install_verification() and workflow.is_main_process and not grid.staged:
    verification.refuse(grid)  # results of other settings, which are planned again otherwise
snakemake_internals.install_lock()  # one run at a time in a folder; one that was killed needs no --unlock


wildcard_constraints:
    **grid.constraints(),
