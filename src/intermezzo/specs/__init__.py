"""What jobs are told: one frozen, strict model for the specification of each stage.

    spec = FinetuneSpec.read(text)         JSON to model; every problem at once in one UserError
    spec.training.learning_rate            stages and library functions read attributes
    spec.canonical()                       model to JSON: what Snakemake tracks, and what `--spec` is given

| module | stage |
|---|---|
| `data.py`, `world.py` | prepare: a task, language and split of a source |
| `translation.py` | translate |
| `pretraining.py` | pretrain |
| `importing.py` | import-encoder |
| `finetuning.py`, `mixes.py` | finetune: intermediates and targets |
| `evaluation.py`, `prediction.py` | evaluate |
| `summary.py` | summarize, report: the design of the experiment |
| `optimisation.py`, `tasks.py`, `encoding.py` | parts of several of them |

`intermezzo.dag.specs` makes them from the configuration. Each is a module of its own, as jobs rerun when the code that
they can import changes. A field with a default is left out of the JSON where it has it: so a new setting with a default
that is what was done before reruns nothing.
"""
