# Data: every source becomes one Parquet file per task, language and split, in the schema of the task's format.


rule prepare_data:
    """Read one task in one language and split from its source and check every row.

    Input: the published files, as far as they are there (source `files`); none (source `world`).
    Output: one Parquet file in the format's schema (src/intermezzo/tasks/formats.py).
    """
    input:
        grid.source_files,
    output:
        "results/data/{source}/{task}/{language}/{split}.parquet",
    log:
        "logs/data/{source}/{task}/{language}/{split}.log",
    benchmark:
        "benchmarks/jobs/data/{source}/{task}/{language}/{split}.tsv"
    priority: 500
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        gpu=0,
    params:
        spec=specs.spec_data,
        code=specs.code_data,
    message:
        "Prepare {wildcards.task}, {wildcards.language}, {wildcards.split} ({wildcards.source})"
    shell:
        "python -m intermezzo prepare --spec {params.spec:q} --code {params.code:q} --out {output:q} 2>&1 | tee {log:q}"
