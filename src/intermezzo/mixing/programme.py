"""Several tasks together: the integer programme that `intermezzo.mixing.allocate_tasks` states."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from fractions import Fraction

from intermezzo.core.errors import UserError

Counts = dict[str, dict[str, int]]


def together(
    totals: Mapping[str, int], weights: Mapping[str, dict[str, Fraction]], limits: Counts, own: Counts
) -> Counts:
    """task -> language -> examples: the solution of the programme that `allocate_tasks` states."""
    goals: dict[str, int] = {}
    for task, parts in weights.items():
        for code, part in parts.items():
            goals[code] = goals.get(code, 0) + int(totals[task] * part / sum(parts.values()))
    cells = sorted((task, code) for task, parts in weights.items() for code in parts)
    goals = {k: min(goal, sum(limits[t].get(k, 0) for t in limits)) for k, goal in sorted(goals.items())}
    if all(sum(own[t].get(code, 0) for t in own) >= goal for code, goal in goals.items()):
        return own
    # Columns: a count and a distance per cell, a shortfall per language, the largest distance and shortfall.
    count = {cell: i for i, cell in enumerate(cells)}
    distance = {cell: len(count) + i for i, cell in enumerate(cells)}
    shortfall = {code: 2 * len(count) + i for i, code in enumerate(goals)}
    farthest = 2 * len(count) + len(shortfall)
    most = farthest + 1
    bounds = [(0, min(limits[t][k], totals[t])) for t, k in cells] + [(0, max(totals.values()))] * len(cells)
    bounds += [(0, max(goals.values()))] * len(goals) + [(0, sum(totals.values()))] * 2
    rows: list[Row] = []
    for task, total in totals.items():
        in_task = [count[cell] for cell in cells if cell[0] == task]
        rows += [(dict.fromkeys(in_task, sign), sign * total) for sign in (1, -1) if in_task]
    for code, goal in goals.items():
        rows.append((dict.fromkeys([count[c] for c in cells if c[1] == code], 1) | {shortfall[code]: 1}, goal))
        rows.append(({most: 1, shortfall[code]: -1}, 0))
    for cell in cells:
        target = own[cell[0]][cell[1]]
        rows += [({distance[cell]: 1, count[cell]: sign}, sign * target) for sign in (1, -1)]
        rows.append(({farthest: 1, distance[cell]: -1}, 0))
    for columns in (shortfall.values(), [most], distance.values(), [farthest]):
        found = minimise(dict.fromkeys(columns, 1), bounds, rows)
        rows.append((dict.fromkeys(columns, -1), -sum(found[column] for column in columns)))
    reach, last = found[farthest], dict(cells)
    for (task, code), column in count.items():
        if last[task] != code and found[column] < min(bounds[column][1], own[task][code] + reach):
            found = minimise({column: -1}, bounds, rows)
        bounds[column] = (found[column], found[column])
    return {task: {code: found[count[task, code]] for code in parts} for task, parts in weights.items()}


Row = tuple[dict[int, int], int]
"""A constraint: the sum over columns of coefficient x value is at least this."""
Bounds = list[tuple[int, int]]


def minimise(objective: dict[int, int], bounds: Bounds, rows: list[Row]) -> list[int]:
    """The values of all columns, whole numbers, that minimise `objective`.

    pulp's CBC solves it; wheels of pulp before 4 have a binary of it for the usual systems, but not one that runs on
    all. Where none runs, HiGHS in scipy does. The programme has one solution, so both give the same numbers.
    """
    for solve in _SOLVERS:
        values = solve(objective, bounds, rows)
        if values is None or any(value is None for value in values):
            continue
        found = [round(value) for value in values]
        kept = all(low <= value <= high for value, (low, high) in zip(found, bounds, strict=True))
        if kept and all(sum(c * found[i] for i, c in parts.items()) >= low for parts, low in rows):
            return found
    raise UserError("no solver of integer programmes runs here; install scipy, or pulp with CBC")


def _with_pulp(objective: dict[int, int], bounds: Bounds, rows: list[Row]) -> list[float | None] | None:
    try:
        import pulp
    except ImportError:
        return None
    problem = pulp.LpProblem("mix", pulp.LpMinimize)
    new = getattr(problem, "add_variable", pulp.LpVariable)  # pulp 4 has the first alone, before 3.3.1 the second
    columns = [new(f"v{i}", low, high, "Integer") for i, (low, high) in enumerate(bounds)]
    problem += pulp.lpSum(c * columns[i] for i, c in objective.items())
    for parts, low in rows:
        problem += pulp.lpSum(c * columns[i] for i, c in parts.items()) >= low
    for name in ("PULP_CBC_CMD", "COIN_CMD"):
        try:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                solver = getattr(pulp, name)(msg=False, gapRel=0)
                if solver.available():
                    problem.solve(solver)
                    return [column.value() for column in columns]
        except (AttributeError, OSError, pulp.PulpError):  # not in this pulp; a binary for another processor; it fails
            continue
    return None


def _with_scipy(objective: dict[int, int], bounds: Bounds, rows: list[Row]) -> list[float] | None:
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    matrix, costs = np.zeros((len(rows), len(bounds))), np.zeros(len(bounds))
    costs[list(objective)] = list(objective.values())
    for i, (parts, _) in enumerate(rows):
        matrix[i, list(parts)] = list(parts.values())
    constraints = LinearConstraint(matrix, lb=[low for _, low in rows])
    limits = Bounds(*np.array(bounds, float).T)
    exact, whole = {"mip_rel_gap": 0}, np.ones(len(bounds))
    result = milp(costs, integrality=whole, bounds=limits, constraints=constraints, options=exact)
    return None if result.x is None else result.x.tolist()


_SOLVERS: tuple[Callable[[dict[int, int], Bounds, list[Row]], list | None], ...] = (_with_pulp, _with_scipy)
