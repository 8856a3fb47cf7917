"""Everything that reads or patches what Snakemake does not promise to keep; whoever upgrades Snakemake looks here.

| function | relies on | without it |
|---|---|---|
| `install_patches` | functions that build the DAG (`planning`) | large grids are planned in twice the time |
| `install_verification` | records of finished jobs (`verification`) | results without a record are refused |
| `install_short_lines` | the formatter of messages (`job_lines`) | lists of files in `snakemake -n` are whole |
| `install_progress` | the formatter of messages (`job_lines`) | the progress line says nothing of time |
| `install_lock` | locks and records of finished jobs (`folder_lock`) | after a kill -9 Snakemake asks for `--unlock` |
| `install_sigterm_handler` | the scheduler's SIGTERM handler (`workflow`) | a SIGTERM at a bad time can hang the run |
| `planned_jobs` | the jobs of the plan (`workflow`) | weights that `keep` gives up stay |
| `failed_jobs` | jobs that the scheduler has given up (`workflow`) | messages of failed jobs are not repeated |
| `runs_in_own_environment`, `partition_file` | run settings (`workflow`) | no fork server, no check of partitions |
| `deployment` | run settings (`workflow`) | images and folders for containers are not checked |
| `overlays`, `plans` | settings of the command line (`workflow`) | keys that are given twice are overlooked |
| `is_module`, `moves_paths` | what a `module` statement says (`workflow`), always read | (the grid depends on it) |
| `dry_run` | the plan and its reasons (`plan`) | `why` says that it cannot tell |
| `Records` | files and tables of records (`records`), always read | without records results' own are compared |

`support.SUPPORTED` is the range of versions that this was tested with. With another version, where a name is missing,
or with the environment variable INTERMEZZO_PLAIN_SNAKEMAKE=1, a function returns the value of the last column's case
and logs one warning (none for the variable, which was set on purpose).
"""

from intermezzo.execution.snakemake_internals.folder_lock import install_lock
from intermezzo.execution.snakemake_internals.job_lines import install_progress, install_short_lines
from intermezzo.execution.snakemake_internals.plan import PlannedJob, dry_run, register
from intermezzo.execution.snakemake_internals.planning import install_patches
from intermezzo.execution.snakemake_internals.records import FOLDER, Records
from intermezzo.execution.snakemake_internals.support import PLAIN, SUPPORTED, switched_off, unsupported
from intermezzo.execution.snakemake_internals.verification import install_verification
from intermezzo.execution.snakemake_internals.workflow import (
    deployment,
    failed_jobs,
    install_sigterm_handler,
    is_module,
    is_staged,
    moves_paths,
    overlays,
    partition_file,
    planned_jobs,
    plans,
    runs_in_own_environment,
)

__all__ = [
    "FOLDER",
    "PLAIN",
    "SUPPORTED",
    "PlannedJob",
    "Records",
    "deployment",
    "dry_run",
    "failed_jobs",
    "install_lock",
    "install_patches",
    "install_progress",
    "install_short_lines",
    "install_sigterm_handler",
    "install_verification",
    "is_module",
    "is_staged",
    "moves_paths",
    "overlays",
    "partition_file",
    "planned_jobs",
    "plans",
    "register",
    "runs_in_own_environment",
    "switched_off",
    "unsupported",
]
