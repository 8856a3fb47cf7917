# Evaluation: one job per model and target for all its languages. Each target is a rule of its own, as the languages
# of a target (the files that a job writes) are the configuration's. Predictions that were already made for the same
# weights, data and code come from results/.cache, so that another language costs that language only.


for evaluated_target in grid.targets:

    rule:
        """Predict and score one model on one target in all its languages.

        Input: the manifest of the model, the data of every language, and what predictions need besides.
        Output: one JSON per language ({language}.dev: on development data), all predictions, and a manifest with the
        SHA-256 of each JSON, written last.
        """
        name:
            f"evaluate_{evaluated_target}"
        input:
            model=inputs.evaluated,
            weights=inputs.staged_model_files(inputs.evaluated),
            data=inputs.evaluation_data,
            support=inputs.support_data,
        output:
            manifest="results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/manifest.json",
            results=expand(
                "results/eval/{{encoder}}/{{intermediate}}/{{mix}}/seed{{seed}}/{{target}}/{result}.json",
                result=grid.results(evaluated_target),
            ),
            predictions="results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/predictions.parquet",
        log:
            "logs/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}.log",
        benchmark:
            "benchmarks/jobs/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}.tsv"
        wildcard_constraints:
            target=one_of([evaluated_target]),
        priority: scheduling.evaluation_priority
        group:
            None if scheduling.unkept else "evaluation"  # one that trains its model again is no small job
        conda:
            "../envs/train.yaml"
        threads: scheduling.evaluation_threads
        resources:
            **scheduling.evaluation_gpus,
            mem_mb=requests.memory("evaluation"),
            runtime=requests.time("evaluation"),
        params:
            spec=specs.spec_evaluate,
            code=specs.code_evaluate,
            inputs=lineage.of_evaluation,
            data=inputs.evaluation_arguments,
            support=inputs.support_arguments,
            run=specs.names_of_run,
            out=subpath(output[0], parent=True),
        message:
            "Evaluate {wildcards.target} on {wildcards.encoder}/{wildcards.intermediate}/{wildcards.mix}/seed{wildcards.seed}"
        shell:
            "python -m intermezzo stage evaluate --spec {params.spec:q} --code {params.code:q} "
            "--inputs {params.inputs:q} --run {params.run:q} "
            "--model {input.model:q} --data {params.data:q} --support {params.support:q} --out {params.out:q} "
            "--cache results/.cache --states results/.state 2>&1 | tee {log:q}"
