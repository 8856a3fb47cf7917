# Analysis: all scores in one tidy table, the summary of the experiment, and the answer to its question.


rule summarize_scores:
    """Bring all evaluation results together.

    Input: one JSON per encoder, intermediate, mix, seed, target and language, and leakage.tsv. All of them are named: Snakemake does not
    look at the parameters of a job that has an output which is neither there nor asked for, such as a new language's.
    Output: scores.parquet (one row per value), summary.tsv (to be read), answer.md (in words). question.json,
    the record of the question and of earlier looks at results, lies beside them and is kept.
    """
    input:
        results=inputs.evaluation_paths,
        development=inputs.development_paths,
        manifests=inputs.staged_manifests,
        leakage=LEAKAGE,
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
        mem_mb=lambda wildcards, attempt: 4000 * 2 ** (attempt - 1),
        runtime=60,
        gpu=0,
    params:
        spec=specs.spec_summary,
        code=specs.code_summary,
        inputs=lineage.of_summary,
        results=subpath(input[0], ancestor=6),
    message:
        "Summarize all scores"
    shell:
        "python -m intermezzo stage summarize --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} --results {params.results:q} "
        "--leakage {input.leakage:q} "
        "--scores {output.scores:q} --summary {output.summary:q} --answer {output.answer:q} 2>&1 | tee {log:q}"


FIGURES = ["rare", "heatmap", "languages", "learning", "allocation", "costs"]
TABLES = ["heatmap", "baseline", "rare", "languages", "allocation", "costs", "checkpoints", "data"]


rule write_report:
    """Write the report: a page that needs no network, its figures and its tables.

    Input: the scores, the answer, the manifests of all models (allocation.tsv and log.jsonl lie beside them).
    Output: report.html, figures as SVG and PDF, tables as TSV, Markdown and LaTeX.
    """
    input:
        scores="results/scores.parquet",
        answer="results/answer.md",
        models=inputs.model_paths,
        page=expand(f"{PROJECT}/src/intermezzo/report/page.{{kind}}", kind=["css", "html.jinja"]),
    output:
        page=report("results/report.html", caption="../report/report.rst", category="Report"),
        figures=[
            report(
                f"results/figures/{name}.svg",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name},
            )
            for name in FIGURES
        ],
        pdf=expand("results/figures/{name}.pdf", name=FIGURES),
        tables=[
            report(
                f"results/tables/{name}.tsv",
                caption=f"../report/tables/{name}.rst",
                category="Tables",
                labels={"table": name},
            )
            for name in TABLES
        ],
        texts=expand("results/tables/{name}.{kind}", name=TABLES, kind=["md", "tex"]),
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/jobs/report.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=0,
    params:
        spec=specs.spec_summary,
        code=specs.code_report,
        inputs=lineage.of_report,
        out=subpath(output[0], parent=True),
    message:
        "Write the report"
    shell:
        "python -m intermezzo stage report --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} --scores {input.scores:q} "
        "--results {params.out:q} --page {output.page:q} --figures {params.out:q}/figures --tables {params.out:q}/tables "
        "2>&1 | tee {log:q}"
