# Intermediate training: one task or several, in the languages of a mix.


rule train_intermediate:
    """Train an encoder on the tasks of an intermediate in a mix of languages.

    Input: the encoder's manifest, training data of every task in every language of the mix,
    alignments of its words where the user has files of them.
    Output: a model folder; allocation.tsv says how many examples each language gave.
    """
    input:
        model=inputs.encoder_of,
        weights=inputs.staged_model_files(inputs.encoder_of),
        data=inputs.intermediate_data,
        alignments=inputs.alignment_files,
    output:
        expand(
            "results/intermediate/{{encoder}}/{{intermediate}}/{{mix}}/seed{{seed}}/{file}",
            file=TRAINED_MODEL,
        ),
    log:
        "logs/intermediate/{encoder}/{intermediate}/{mix}/seed{seed}.log",
    benchmark:
        "benchmarks/jobs/intermediate/{encoder}/{intermediate}/{mix}/seed{seed}.tsv"
    priority: scheduling.intermediate_priority
    conda:
        "../envs/train.yaml"
    threads: scheduling.training_threads
    resources:
        **scheduling.training_gpus,
        mem_mb=requests.memory("intermediate"),
        runtime=requests.time("intermediate"),
    params:
        spec=specs.spec_intermediate,
        code=specs.code_intermediate,
        inputs=lineage.of_intermediate,
        data=inputs.intermediate_arguments,
        out=subpath(output[0], parent=True),
    message:
        "Train {wildcards.encoder} on intermediate {wildcards.intermediate}, mix {wildcards.mix}, seed {wildcards.seed}"
    shell:
        "python -m intermezzo stage finetune --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} --model {input.model:q} "
        "--data {params.data:q} --out {params.out:q} --states results/.state 2>&1 | tee {log:q}"
