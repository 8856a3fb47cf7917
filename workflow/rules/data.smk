# Data: every source becomes one Parquet file per task, language and split, in the schema of the task's format.


rule prepare_data:
    """Read one task in one language and split from its source and check every row.

    Input: the published files, as far as they are there (source `files`); none (source `world`).
    Output: one Parquet file in the format's schema (src/intermezzo/tasks/formats).
    """
    input:
        inputs.source_files,
    output:
        "results/data/{source}/{task}/{language}/{split}.parquet",
    log:
        "logs/data/{source}/{task}/{language}/{split}.log",
    benchmark:
        "benchmarks/jobs/data/{source}/{task}/{language}/{split}.tsv"
    wildcard_constraints:
        source="world|files",
    priority: 500
    group:
        "data"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=requests.memory("data"),
        runtime=requests.time("data"),
        gpu=0,
    params:
        spec=specs.spec_data,
        code=specs.code_data,
    message:
        "Prepare {wildcards.task}, {wildcards.language}, {wildcards.split} ({wildcards.source})"
    shell:
        "python -m intermezzo prepare --spec {params.spec:q} --code {params.code:q} --out {output:q} 2>&1 | tee {log:q}"


rule download_data:
    """Download one task in one language and split, and check every row against the lock and the task's format.

    The only jobs with a network besides encoders from the hub, so they run where Snakemake runs, never on a cluster's
    nodes, and in processes of their own: the one that other jobs fork from is kept off the network.

    Input: none. What was downloaded is in config/data.lock.yaml.
    Output: one Parquet file in the format's schema (src/intermezzo/tasks/formats).
    """
    output:
        "results/data/{source}/{task}/{language}/{split}.parquet",
    log:
        "logs/data/{source}/{task}/{language}/{split}.log",
    benchmark:
        "benchmarks/jobs/data/{source}/{task}/{language}/{split}.tsv"
    wildcard_constraints:
        source="hub",
    priority: 500
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=600,
        gpu=0,
    params:
        spec=specs.spec_data,
        code=specs.code_data,
    message:
        "Download {wildcards.task}, {wildcards.language}, {wildcards.split}"
    shell:
        "INTERMEZZO_FORK_SERVER= python -m intermezzo prepare --spec {params.spec:q} --code {params.code:q} "
        "--out {output:q} 2>&1 | tee {log:q}"


rule translate_data:
    """Translate the English training data of a task into another language, for mixes that ask for it.

    Input: the English training data. Output: one Parquet file of the same format.
    """
    input:
        inputs.translated_from,
    output:
        "results/data/translated/{task}/{language}/train.parquet",
    log:
        "logs/data/translated/{task}/{language}/train.log",
    benchmark:
        "benchmarks/jobs/data/translated/{task}/{language}/train.tsv"
    priority: 450
    conda:
        "../envs/train.yaml"
    threads: grid.threads
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * 2 ** (attempt - 1),
        runtime=1440,
    params:
        spec=specs.spec_translate,
        code=specs.code_translate,
        inputs=lineage.of_translation,
        data=inputs.translation_arguments,
        alone="" if config["translation"]["backend"] == "world" else "INTERMEZZO_FORK_SERVER=",
    message:
        "Translate {wildcards.task} into {wildcards.language}"
    shell:
        "{params.alone} python -m intermezzo translate --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} "
        "--data {params.data:q} --out {output:q} 2>&1 | tee {log:q}"
