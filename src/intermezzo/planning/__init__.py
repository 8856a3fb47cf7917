"""Cost estimates before a run: jobs, tokens, hours, memory and disk, and how accurate the last estimate was.

    plan = make(load("config/experiments/phang2020.yaml"), workers=8)
    print(render(plan))

| module | what it does |
|---|---|
| `jobs.py` | the jobs of a grid, what each needs, which are done |
| `amounts.py` | rows and tokens: of prepared data, of the world, else of `resources/lengths.tsv` |
| `rates.py`, `measure.py` | an encoder's time per step and token, from a table or measured |
| `costs.py`, `durations.py` | what a job costs; the correction by the durations of past jobs of its kind |
| `estimate.py` | the estimate of the whole experiment |
| `schedule.py` | when each job runs on N workers, and the disk space of weights during the run |
| `candidates.py`, `choice.py` | the comparisons of a grid with their costs, and the best ones within a budget |
| `review.py`, `show.py` | how accurate the last estimate was; tables and JSON |
"""
