# Prompted language models: rivals without training, each a row of results in the place of an encoder. A rule per model
# and target, as the languages of a target (the files that a job writes) are the configuration's. Answers are kept one by
# one in results/.cache/answers, so that a job that was killed asks for the others alone.


for prompted_model, prompted_targets in grid.prompted.items():
    for prompted_target, prompted_languages in prompted_targets.items():

        rule:
            """Answer one target by a prompted language model, and score the answers in all its languages.

            Input: the files of a local model, the data of every language, English training data where shots are asked for.
            Output: one JSON per language, all predictions, and a manifest with the cost, written last.
            """
            name:
                f"prompt_{prompted_model}_{prompted_target}"
            input:
                model=inputs.prompted_model,
                data=inputs.prompted_data,
                shots=inputs.shots_data,
            output:
                manifest="results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/manifest.json",
                results=expand(
                    "results/eval/{{encoder}}/{{intermediate}}/{{mix}}/seed{{seed}}/{{target}}/{result}.json",
                    result=prompted_languages,
                ),
                predictions="results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/predictions.parquet",
            log:
                "logs/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}.log",
            benchmark:
                "benchmarks/jobs/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}.tsv"
            wildcard_constraints:
                encoder=one_of([prompted_model]),
                intermediate=BASELINE,
                mix=BASELINE,
                seed=one_of(str(run.seed) for run in grid.prompted_runs(prompted_model)),
                target=one_of([prompted_target]),
            priority: scheduling.evaluation_priority
            # a server is asked from where Snakemake runs: a cluster's nodes may have no network
            localrule: grid.config.prompted[prompted_model].server is not None
            conda:
                "../envs/train.yaml"
            threads: grid.threads
            resources:
                **({"gpu": 0} if grid.config.prompted[prompted_model].server else {}),
                mem_mb=requests.prompt_memory,
                runtime=1440,
            params:
                spec=specs.spec_prompt,
                code=specs.code_prompt,
                inputs=lineage.of_prompt,
                data=inputs.prompted_arguments,
                shots=inputs.shots_arguments,
                run=specs.names_of_run,
                out=subpath(output[0], parent=True),
            message:
                "Ask {wildcards.encoder} for {wildcards.target}, seed {wildcards.seed}"
            shell:
                "INTERMEZZO_FORK_SERVER= python -m intermezzo stage prompt --spec {params.spec:q} --code {params.code:q} "
                "--inputs {params.inputs:q} --run {params.run:q} --data {params.data:q} --shots {params.shots:q} "
                "--out {params.out:q} --cache results/.cache 2>&1 | tee {log:q}"
