# Analysis: all scores in one tidy table, the summary of the experiment, and the answer to its question.


rule summarize_scores:
    """Bring all evaluation results together.

    Input: one JSON per encoder, intermediate, mix, seed, target and language.
    Output: scores.parquet (one row per value), summary.tsv (to be read), answer.md (in words).
    """
    input:
        results=grid.evaluation_paths(),
        development=grid.development_paths(),
    output:
        scores="results/scores.parquet",
        summary="results/summary.tsv",
        answer="results/answer.md",
    log:
        "logs/summary.log",
    benchmark:
        "benchmarks/jobs/summary.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=0,
    params:
        spec=specs.spec_summary,
        code=specs.code_summary,
        inputs=lineage.of_summary,
    message:
        "Summarize all scores"
    shell:
        "python -m intermezzo summarize --spec {params.spec:q} --code {params.code:q} --results results/eval "
        "--scores {output.scores:q} --summary {output.summary:q} --answer {output.answer:q} 2>&1 | tee {log:q}"
