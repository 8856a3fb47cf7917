# Encoders: pretrained here from text, or taken from elsewhere.


rule pretrain_encoder:
    """Train a tokenizer and an encoder (masked language modelling).

    Input: the text of its languages; translations where its embeddings start from co-occurrence.
    Output: a model folder in Hugging Face format.
    """
    input:
        text=inputs.text_files,
        parallel=inputs.parallel_files,
    output:
        expand("results/encoders/{{encoder}}/{file}", file=MODEL),
    log:
        "logs/encoders/{encoder}.log",
    benchmark:
        "benchmarks/jobs/encoders/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(grid.scratch),
    priority: scheduling.encoder_priority
    conda:
        "../envs/train.yaml"
    threads: scheduling.training_threads
    resources:
        **scheduling.training_gpus,
        mem_mb=requests.memory("encoder"),
        runtime=requests.time("encoder"),
    params:
        spec=specs.spec_pretrain,
        code=specs.code_pretrain,
        inputs=lineage.of_encoder,
        text=inputs.text_arguments,
        parallel=inputs.parallel_arguments,
        out=subpath(output[0], parent=True),
    message:
        "Pretrain encoder {wildcards.encoder}"
    shell:
        "python -m intermezzo stage pretrain --spec {params.spec:q} --code {params.code:q} "
        "--inputs {params.inputs:q} --text {params.text:q} "
        "--parallel {params.parallel:q} --out {params.out:q} --states results/.state 2>&1 | tee {log:q}"


rule import_encoder:
    """Copy a pretrained encoder from a folder, a Python package or the Hugging Face hub.

    A process of its own runs it, as the one that other jobs fork from is kept off the network.

    Input: the files of a local folder; none otherwise.
    Output: a model folder in Hugging Face format.
    """
    input:
        inputs.encoder_files,
    output:
        expand("results/encoders/{{encoder}}/{file}", file=MODEL),
    log:
        "logs/encoders/{encoder}.log",
    benchmark:
        "benchmarks/jobs/encoders/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(grid.imported),
    priority: 400
    localrule: True
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=0,
        # a resource, as a change of it must not import the encoder again: what is imported stays the same
        max_length=specs.longest_input,
    params:
        spec=specs.spec_import,
        code=specs.code_import,
        out=subpath(output[0], parent=True),
    message:
        "Import encoder {wildcards.encoder}"
    shell:
        "INTERMEZZO_FORK_SERVER= python -m intermezzo stage import-encoder --spec {params.spec:q} --code {params.code:q} "
        "--out {params.out:q} --max-length {resources.max_length} 2>&1 | tee {log:q}"
