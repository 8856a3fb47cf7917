# The grid that the configuration describes. The code that runs is the code beside this Snakefile, whatever is installed.
import sys

sys.path.insert(0, f"{workflow.basedir}/src")

from intermezzo import forkserver
from intermezzo.grid import MODEL, TRAINED_MODEL, Grid, one_of
from intermezzo.lineage import Lineage
from intermezzo.specs import Specs

grid = Grid.of_workflow(config)
specs = Specs(grid)
lineage = Lineage(specs)


wildcard_constraints:
    **grid.constraints(),
