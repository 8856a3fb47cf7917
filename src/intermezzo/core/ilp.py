"""Integer linear programmes, solved through pulp: whole numbers that minimise a sum under linear constraints.

pulp brings the solver CBC (in its wheels before version 4, and as a dependency on conda-forge). Where no CBC runs, as
on ARM Macs without Rosetta, pulp calls HiGHS from the package `highspy`. pulp is imported on the first call, so that
the Snakefile, which plans with this module's callers, does not pay for it.
"""

from __future__ import annotations

import warnings

from intermezzo.core.errors import UserError

Constraint = tuple[dict[int, int], int]
"""(variable -> coefficient, bound): the sum of coefficient x value is at least the bound."""
Ranges = list[tuple[int, int]]
"""The least and the greatest value of each variable."""
SOLVERS = ("PULP_CBC_CMD", "COIN_CMD", "HiGHS", "HiGHS_CMD")
"""pulp's names of the solvers, the first that runs is used: CBC in pulp, CBC elsewhere, HiGHS."""


def minimise(objective: dict[int, int], ranges: Ranges, constraints: list[Constraint]) -> list[int]:
    """The values of all variables, whole numbers, that minimise `objective` (variable -> coefficient).

    Solvers agree on the minimum, but choose differently among several solutions that reach it: a caller that wants one
    answer on every machine states programmes that have one. Raises UserError where no solver gives a solution.
    """
    import pulp

    problem = pulp.LpProblem("programme", pulp.LpMinimize)
    new = getattr(problem, "add_variable", pulp.LpVariable)  # pulp 4 has the first alone, before 3.3.1 the second
    variables = [new(f"v{i}", low, high, "Integer") for i, (low, high) in enumerate(ranges)]
    problem += pulp.lpSum(factor * variables[i] for i, factor in objective.items())
    for factors, bound in constraints:
        problem += pulp.lpSum(factor * variables[i] for i, factor in factors.items()) >= bound
    for name in SOLVERS:
        try:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                solver = getattr(pulp, name)(msg=False, gapRel=0)
                if not solver.available():
                    continue
                problem.solve(solver)
        except (AttributeError, OSError, pulp.PulpError):  # not in this pulp; a binary for another processor; it fails
            continue
        values = [variable.value() for variable in variables]
        if None not in values and _holds(solution := [round(value) for value in values], ranges, constraints):
            return solution
    raise UserError("no solver of integer programmes runs here; install highspy (`pip install highspy`) or CBC")


def _holds(solution: list[int], ranges: Ranges, constraints: list[Constraint]) -> bool:
    """Whether the rounded values keep to the ranges and constraints: a solver may have stopped early."""
    return all(low <= value <= high for value, (low, high) in zip(solution, ranges, strict=True)) and all(
        sum(factor * solution[i] for i, factor in factors.items()) >= bound for factors, bound in constraints
    )
