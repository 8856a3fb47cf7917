# intermezzo: does intermediate-task training on a mix of English and low-resource languages help rare languages?
#
#   snakemake --cores 8 results/summary.tsv                                          the default experiment
#   snakemake --cores 8 --configfile config/experiments/tiny.yaml                    another one (config/README.md)
#   snakemake --cores 8 results/report.html                                          the report of it
#   snakemake -n                                                                     what would run, and why
#
# An artefact's path holds exactly the keys that it depends on (src/intermezzo/dag/paths.py):
#
#   results/data/{source}/{task}/{language}/{split}.parquet                              rules/data.smk
#   results/leakage.tsv                                                                  rules/data.smk
#   results/encoders/{encoder}/                                                          rules/encoder.smk
#   results/intermediate/{encoder}/{intermediate}/{mix}/seed{seed}/                      rules/intermediate.smk
#   results/target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}/                 rules/target.smk
#   results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/{language}.json      rules/evaluate.smk
#   results/eval/{prompted}/none/none/seed{seed}/{target}/{language}.json                rules/prompt.smk
#   results/scores.parquet  results/summary.tsv  results/answer.md                       rules/analyse.smk
#   results/report.html  results/figures/  results/tables/  (when asked for)             rules/analyse.smk
#
# Logs are in logs/ and benchmarks in benchmarks/jobs/ under the same paths.
from snakemake.utils import min_version

min_version("9.20")  # priorities that are functions


configfile: f"{workflow.current_basedir}/config/config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"  # of `snakemake --report`


containerized: containers.for_snakemake()  # with --sdm apptainer


include: "workflow/rules/data.smk"
include: "workflow/rules/encoder.smk"
include: "workflow/rules/intermediate.smk"
include: "workflow/rules/target.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/prompt.smk"
include: "workflow/rules/analyse.smk"


onstart:
    gc.freeze()  # the plan stays: nothing in it is garbage until the end
    gc.enable()
    startup.begin(workflow, scheduling.unkept, inputs.below_evaluated)
    startup.ask(specs.spec_summary(), staged=grid.staged)
    from intermezzo.planning import pace

    pace.begin(workflow, grid.config)  # the progress line has the time that is left


onsuccess:
    adoption.clean()
    startup.show_answer()


onerror:
    startup.tidy()
    startup.show_failures(workflow)


rule summary:
    """Everything: results/summary.tsv and what leads to it, so that whatever is missing is made again."""
    default_target: True
    input:
        "results/summary.tsv",
        inputs.model_paths,
        inputs.evaluation_paths,
    message:
        "Everything is in results/: summary.tsv, answer.md, scores.parquet"


rule prepare:
    """All data files that the experiment reads."""
    input:
        inputs.data_paths,


rule encoders:
    """All encoders."""
    input:
        inputs.encoder_paths,


rule intermediates:
    """All intermediate models."""
    input:
        inputs.intermediate_paths,


rule targets:
    """All fine-tuned target models."""
    input:
        inputs.target_paths,


rule evaluations:
    """All evaluation results."""
    input:
        inputs.evaluation_paths,
