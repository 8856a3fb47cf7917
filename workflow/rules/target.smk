# Target training: one task, in English unless the target says otherwise, from the untouched encoder (baseline) or from an intermediate model.


rule train_target:
    """Fine-tune on a target task, with a fresh head. Targets that are trained alike share the model.

    Input: the manifest of the model to start from, the task's training data.
    Output: a model folder.
    """
    input:
        model=inputs.started_from,
        weights=inputs.staged_model_files(inputs.started_from),
        data=inputs.target_data,
    output:
        expand(
            "results/target/{{encoder}}/{{intermediate}}/{{mix}}/seed{{seed}}/{{training}}/{file}",
            file=TRAINED_MODEL,
        ),
    log:
        "logs/target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}.log",
    benchmark:
        "benchmarks/jobs/target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}.tsv"
    priority: scheduling.target_priority
    conda:
        "../envs/train.yaml"
    threads: scheduling.training_threads
    resources:
        **scheduling.training_gpus,
        mem_mb=requests.memory("target"),
        runtime=requests.time("target"),
    params:
        spec=specs.spec_target,
        code=specs.code_target,
        inputs=lineage.of_target,
        data=inputs.target_arguments,
        out=subpath(output[0], parent=True),
    message:
        "Train target {wildcards.training} from {wildcards.encoder}/{wildcards.intermediate}/{wildcards.mix}, seed {wildcards.seed}"
    shell:
        "python -m intermezzo stage finetune --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} --model {input.model:q} "
        "--data {params.data:q} --out {params.out:q} --states results/.state 2>&1 | tee {log:q}"
