"""What the keys of a configuration say about each other: every problem as one line that starts with its key path."""

from __future__ import annotations

from itertools import islice

from intermezzo.config import task_files
from intermezzo.config.checks.adapters import check_adapters
from intermezzo.config.checks.data import check_data
from intermezzo.config.checks.encoders import check_encoders
from intermezzo.config.checks.languages import check_languages, check_unlisted
from intermezzo.config.checks.mixes import check_mixes
from intermezzo.config.checks.names import check_names, check_question, check_tasks
from intermezzo.config.checks.prompted import check_prompted
from intermezzo.config.checks.trainings import check_intermediates, check_targets, check_translation
from intermezzo.config.lengths import too_long
from intermezzo.config.models import Config
from intermezzo.core.errors import UserError

MOST = 200
"""Problems of one kind that are looked for."""
_OF_THE_EXPERIMENT = (
    *(check_question, check_languages, check_encoders, check_tasks, check_translation),
    *(check_intermediates, check_targets, check_adapters, check_mixes, check_unlisted, check_prompted, too_long),
)


def problems(config: Config, *, whole: bool = True) -> list[str]:
    """All problems of a configuration whose types are right, without repetitions; of task files first.

    whole: whether the experiment is checked, or its names and the sources of its data alone.
    """
    try:
        if misfits := list(task_files.problems()):
            return misfits
    except UserError as error:
        return [str(error)]
    lines: dict[str, None] = {}
    for check in (check_names, check_data, *(_OF_THE_EXPERIMENT if whole else ())):
        try:
            lines |= dict.fromkeys(islice(check(config), MOST))
        except UserError as error:
            lines[str(error)] = None
    return list(lines)
