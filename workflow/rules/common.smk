# The grid that the configuration describes. The code that runs is the code beside this Snakefile, whatever is installed.
import gc
import sys

gc.disable()  # planning makes millions of objects that all stay: a quarter of its time went into looking for garbage

sys.path.insert(0, f"{workflow.basedir}/src")

from intermezzo import finished, runlock, shortcuts, startup, weights
from intermezzo.grid import MODEL, TRAINED_MODEL, Grid, one_of
from intermezzo.lineage import Lineage
from intermezzo.planning.requests import Requests
from intermezzo.specs import Specs

grid = Grid.of_workflow(config, staged=workflow.storage_settings.default_storage_provider is not None)
specs = Specs(grid)
lineage = Lineage(specs)
requests = Requests(grid)  # memory and time that jobs ask a cluster for
shortcuts.take()  # what Snakemake asks for each of thousands of files, asked once
runlock.guard()  # one run at a time in a folder; what a killed one left behind is in nobody's way


wildcard_constraints:
    **grid.constraints(),
