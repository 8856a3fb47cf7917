# The grid that the configuration describes. The code that runs is the code beside this Snakefile, whatever is installed.
import gc
import sys

gc.disable()  # planning makes millions of objects that all stay: a quarter of its time went into looking for garbage

sys.path.insert(0, f"{workflow.basedir}/src")

from intermezzo.execution import adoption, runlock, shortcuts, startup, weight_leases
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.lineage import Lineage
from intermezzo.dag.paths import MODEL, TRAINED_MODEL, one_of
from intermezzo.dag.requests import Requests
from intermezzo.dag.scheduling import Scheduling
from intermezzo.dag.specs import Specs

grid = Grid.of_workflow(config, staged=workflow.storage_settings.default_storage_provider is not None)
inputs = Inputs(grid)
scheduling = Scheduling(grid)
specs = Specs(grid)
lineage = Lineage(specs)
requests = Requests(grid)  # memory and time that jobs ask a cluster for
shortcuts.take()  # what Snakemake asks for each of thousands of files, asked once
runlock.guard()  # one run at a time in a folder; what a killed one left behind is in nobody's way


wildcard_constraints:
    **grid.constraints(),
