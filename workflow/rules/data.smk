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
    priority: scheduling.data_priority
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
        "python -m intermezzo stage prepare --spec {params.spec:q} --code {params.code:q} --out {output:q} 2>&1 | tee {log:q}"


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
    priority: scheduling.data_priority
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
        "INTERMEZZO_FORK_SERVER= python -m intermezzo stage prepare --spec {params.spec:q} --code {params.code:q} "
        "--out {output:q} 2>&1 | tee {log:q}"


rule find_leakage:
    """Count the test rows that are in training data, before anything is trained.

    Input: the training data of intermediates and targets, before any row is left out, and the test data of all targets.
    Output: a table, a line per training file and test file of one language.
    """
    input:
        training=inputs.overlap_training,
        tests=inputs.overlap_tests,
    output:
        LEAKAGE,
    log:
        "logs/leakage.log",
    benchmark:
        "benchmarks/jobs/leakage.tsv"
    priority: 499
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * 2 ** (attempt - 1),
        runtime=240,
        gpu=0,
    params:
        spec=specs.spec_overlap,
        code=specs.code_overlap,
        inputs=lineage.of_overlap,
        data=inputs.overlap_arguments,
    message:
        "Look for test data in training data"
    shell:
        "python -m intermezzo stage leakage --spec {params.spec:q} --code {params.code:q} --inputs {params.inputs:q} "
        "--data {params.data:q} --out {output:q} 2>&1 | tee {log:q}"


rule leave_out_test_data:
    """Leave out the rows of training data that are in test data of their language (`data.overlap.drop`).

    Input: a training file, the test data of all targets in its language. Output: one Parquet file of the same format.
    """
    input:
        training=inputs.disjoint_training,
        tests=inputs.disjoint_tests,
    output:
        "results/data/{source}/{task}/{language}/train.parquet",
    log:
        "logs/data/{source}/{task}/{language}/train.log",
    benchmark:
        "benchmarks/jobs/data/{source}/{task}/{language}/train.tsv"
    wildcard_constraints:
        source=one_of(DISJOINT),
    priority: 450
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * 2 ** (attempt - 1),
        runtime=120,
        gpu=0,
    params:
        spec=specs.spec_disjoint,
        code=specs.code_disjoint,
        inputs=lineage.of_disjoint,
        data=inputs.disjoint_arguments,
    message:
        "Leave out rows of {wildcards.task}, {wildcards.language}, that are in test data"
    shell:
        "python -m intermezzo stage disjoin --spec {params.spec:q} --code {params.code:q} --inputs {params.inputs:q} "
        "--data {params.data:q} --out {output:q} 2>&1 | tee {log:q}"


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
        alone="" if grid.config.translation.backend == "world" else "INTERMEZZO_FORK_SERVER=",
    message:
        "Translate {wildcards.task} into {wildcards.language}"
    shell:
        "{params.alone} python -m intermezzo stage translate --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} "
        "--data {params.data:q} --out {output:q} 2>&1 | tee {log:q}"


rule translate_test_data:
    """Translate development or test data of a task into English, for targets with `translate_test`.

    Input: the data in its language. Output: one Parquet file of the same format, row by row.
    """
    input:
        inputs.test_translated_from,
    output:
        "results/data/in_english/{task}/{language}/{split}.parquet",
    log:
        "logs/data/in_english/{task}/{language}/{split}.log",
    benchmark:
        "benchmarks/jobs/data/in_english/{task}/{language}/{split}.tsv"
    priority: 400
    conda:
        "../envs/train.yaml"
    threads: grid.threads
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * 2 ** (attempt - 1),
        runtime=1440,
    params:
        spec=specs.spec_translate_test,
        code=specs.code_translate,
        inputs=lineage.of_test_translation,
        data=inputs.test_translation_arguments,
        alone="" if grid.config.translation.backend == "world" else "INTERMEZZO_FORK_SERVER=",
    message:
        "Translate {wildcards.task}, {wildcards.language}, {wildcards.split} into English"
    shell:
        "{params.alone} python -m intermezzo stage translate --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} "
        "--data {params.data:q} --out {output:q} 2>&1 | tee {log:q}"
