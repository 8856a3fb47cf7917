"""`python -m intermezzo`: through the fork server where there is one, here otherwise."""

import sys

from intermezzo.execution.forkserver import submit
from intermezzo.execution.orphans import end_with_job

end_with_job()
status = submit(sys.argv[1:])
if status is None:
    from intermezzo.cli.main import main

    status = main()
raise SystemExit(status)
