"""`python -m intermezzo`: through the fork server where there is one, here otherwise."""

import sys

from intermezzo.execution.forkserver import submit

status = submit(sys.argv[1:])
if status is None:
    from intermezzo.cli.main import main

    status = main()
raise SystemExit(status)
