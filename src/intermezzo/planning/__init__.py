"""A price before the run: jobs, tokens, hours, memory and disk of an experiment, and how good the last price was.

    plan = make(load("config/experiments/phang2020.yaml"), workers=8)
    print(render(plan))

| module | what it does |
|---|---|
| `jobs.py` | the jobs of a grid, what each needs, which are done |
| `amounts.py` | rows and tokens: of prepared data, of the world, else of `resources/lengths.tsv` |
| `rates.py`, `measure.py` | an encoder's time per step and token, from a table or measured |
| `costs.py`, `past.py` | what a job costs; corrected by what past jobs of its kind took |
| `schedule.py` | when each job runs on N workers, and the weights that lie on the disk meanwhile |
| `comparisons.py`, `offers.py` | which comparisons a budget buys |
| `review.py`, `show.py` | how good the last estimate was; tables and JSON |
"""
