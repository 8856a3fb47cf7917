"""Several tasks together: the integer linear programme that `intermezzo.mixing.allocate_tasks` states."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from intermezzo.core import ilp

Counts = dict[str, dict[str, int]]
"""task -> language -> examples."""


def allocate_jointly(
    totals: Mapping[str, int], weights: Mapping[str, dict[str, Fraction]], limits: Counts, separate: Counts
) -> Counts:
    """task -> language -> examples: the solution of the programme that `allocate_tasks` states.

    totals: task -> examples to divide. limits: the most that each language can give. separate: the allocation of each
    task by itself, which is the solution where no language runs short over all tasks.

    The objectives are minimised one after the other, each with the minima of those before it as constraints, and then
    every count in order is made as large as possible. So the solution is unique, and every solver finds the same.
    """
    goals: dict[str, int] = {}
    for task, parts in weights.items():
        for code, part in parts.items():
            goals[code] = goals.get(code, 0) + int(totals[task] * part / sum(parts.values()))
    cells = sorted((task, code) for task, parts in weights.items() for code in parts)
    goals = {k: min(goal, sum(limits[t].get(k, 0) for t in limits)) for k, goal in sorted(goals.items())}
    if all(sum(separate[t].get(code, 0) for t in separate) >= goal for code, goal in goals.items()):
        return separate
    # Variables: a count and a distance per cell, a shortfall per language, the largest distance and shortfall.
    count = {cell: i for i, cell in enumerate(cells)}
    distance = {cell: len(count) + i for i, cell in enumerate(cells)}
    shortfall = {code: 2 * len(count) + i for i, code in enumerate(goals)}
    largest_distance = 2 * len(count) + len(shortfall)
    largest_shortfall = largest_distance + 1
    ranges = [(0, min(limits[t][k], totals[t])) for t, k in cells] + [(0, max(totals.values()))] * len(cells)
    ranges += [(0, max(goals.values()))] * len(goals) + [(0, sum(totals.values()))] * 2
    constraints: list[ilp.Constraint] = []
    for task, total in totals.items():
        columns = [count[cell] for cell in cells if cell[0] == task]
        constraints += [(dict.fromkeys(columns, sign), sign * total) for sign in (1, -1) if columns]
    for code, goal in goals.items():
        columns = [count[cell] for cell in cells if cell[1] == code]
        constraints.append((dict.fromkeys(columns, 1) | {shortfall[code]: 1}, goal))
        constraints.append(({largest_shortfall: 1, shortfall[code]: -1}, 0))
    for cell in cells:
        target = separate[cell[0]][cell[1]]
        constraints += [({distance[cell]: 1, count[cell]: sign}, sign * target) for sign in (1, -1)]
        constraints.append(({largest_distance: 1, distance[cell]: -1}, 0))
    for objective in (shortfall.values(), [largest_shortfall], distance.values(), [largest_distance]):
        solution = ilp.minimise(dict.fromkeys(objective, 1), ranges, constraints)
        constraints.append((dict.fromkeys(objective, -1), -sum(solution[column] for column in objective)))
    reach, last_language = solution[largest_distance], dict(cells)
    for (task, code), column in count.items():
        # A task's last count follows from the others; one at its greatest possible value needs no solver.
        greatest = min(ranges[column][1], separate[task][code] + reach)
        if last_language[task] != code and solution[column] < greatest:
            solution = ilp.minimise({column: -1}, ranges, constraints)
        ranges[column] = (solution[column], solution[column])
    return {task: {code: solution[count[task, code]] for code in parts} for task, parts in weights.items()}
