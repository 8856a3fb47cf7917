"""Which encoders work: a tiny model with random weights of each architecture, imported, trained and compared.

    python benchmarks/encoders.py                      # the table, on stdout
    python benchmarks/encoders.py --write              # into docs/encoders.md
    python benchmarks/encoders.py modernbert xlm       # these alone

Of each: does it import; does it train a classification, a tagging, a span and masked text, and does retrieval read it;
how far are our states from those of transformers' own model, run on each sentence alone (the largest difference, where
states are scaled to a standard deviation of 1); does it compute packed batches.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from intermezzo.core.errors import UserError
from intermezzo.evaluation.predict import predictor
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.importing import import_encoder
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import load_tokenizer, train_tokenizer
from intermezzo.specs.finetuning import FinetuneSpec, TrainedTask, TrainingSettings
from intermezzo.specs.importing import ImportSpec
from intermezzo.specs.mixes import Portion
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks.formats import table
from intermezzo.training.finetune import finetune

DOCS = Path(__file__).parent.parent / "docs" / "encoders.md"
MARKS = ("<!-- table: python benchmarks/encoders.py --write -->", "<!-- end of the table -->")
SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 66,
}  # fmt: skip
CLOSE = 1e-5
"""Largest difference from transformers' states that counts as equal in float32."""


class Architecture(NamedTuple):
    """An architecture: its model type, changes of the tiny shape, its kind of tokenizer, examples on the hub."""

    type: str
    examples: str
    tokenizer: str = "wordpiece"
    changes: Mapping[str, Any] = MappingProxyType({})


ROBERTA = {"max_position_embeddings": 68}
"""Two rows more, as positions count from the padding token's id."""
ARCHITECTURES = (
    Architecture("bert", "mBERT, LaBSE, MuRIL, IndicBERT v2"),
    Architecture("xlm-roberta", "XLM-R, AfroXLMR, Glot500, XLM-V, multilingual E5, AfriBERTa", "metaspace", ROBERTA),
    Architecture("modernbert", "ModernBERT, mmBERT", "bytes", {"local_attention": 8}),
    Architecture("eurobert", "EuroBERT", "bytes", {"num_key_value_heads": 2}),
    Architecture("deberta-v2", "mDeBERTa v3, DeBERTa v3", "metaspace",
        {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
         "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0}),
    Architecture("nomic_bert", "Nomic Embed"),
    Architecture("gte", "mGTE", "metaspace"),
    Architecture("roberta", "RoBERTa", "bytes", ROBERTA),
    Architecture("camembert", "CamemBERT", "metaspace", ROBERTA),
    Architecture("data2vec-text", "data2vec", "bytes", ROBERTA),
    Architecture("electra", "ELECTRA, SERENGETI", changes={"embedding_size": 16}),
    Architecture("ernie", "ERNIE"),
    Architecture("distilbert", "DistilmBERT"),
    Architecture("xlm", "XLM-17, XLM-100"),
    Architecture("flaubert", "FlauBERT"),
    Architecture("xlm-roberta-xl", "XLM-R XL and XXL", "metaspace", ROBERTA),
    Architecture("xmod", "X-MOD", "metaspace", ROBERTA | {"default_language": "en_XX"}),
    Architecture("rembert", "RemBERT", "metaspace", {"input_embedding_size": 16, "output_embedding_size": 24}),
    Architecture("albert", "ALBERT, IndicBERT v1", "metaspace", {"embedding_size": 16}),
    Architecture("mobilebert", "MobileBERT", changes={
        "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}),
    Architecture("roberta-prelayernorm", "RoBERTa-PreLayerNorm", "bytes", ROBERTA),
    Architecture("megatron-bert", "MegatronBERT"),
    Architecture("mpnet", "MPNet", changes=ROBERTA),
    Architecture("roformer", "RoFormer"),
    Architecture("deberta", "DeBERTa v1", "bytes", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"],
        "max_relative_positions": 32}),
    Architecture("longformer", "Longformer", "bytes", ROBERTA | {"attention_window": 8}),
    Architecture("big_bird", "BigBird", "metaspace", {"block_size": 4, "num_random_blocks": 1}),
    Architecture("esm", "ESM-2 (proteins)", changes=ROBERTA | {
        "position_embedding_type": "rotary", "mask_token_id": 4}),
    Architecture("ibert", "I-BERT", "bytes", ROBERTA),
    Architecture("squeezebert", "SqueezeBERT", changes={"embedding_size": 32}),
    Architecture("roc_bert", "RoCBert"),
    Architecture("jina_embeddings_v3", "Jina Embeddings v3", "metaspace"),
    Architecture("layoutlm", "LayoutLM, without its layout"),
    Architecture("lilt", "LiLT, without its layout", "metaspace", ROBERTA | {"hidden_size": 48}),
    Architecture("luke", "LUKE, without its entities", "bytes", ROBERTA | {"entity_vocab_size": 8}),
    Architecture("splinter", "Splinter"),
    Architecture("ultrabert", "UltraBERT", "bytes"),
    Architecture("esmc", "ESM C (proteins)"),
    Architecture("convbert", "ConvBERT", changes={"embedding_size": 32}),
    Architecture("nystromformer", "Nyströmformer", "metaspace"),
    Architecture("yoso", "YOSO", "bytes"),
    Architecture("mra", "MRA", "bytes"),
    Architecture("funnel", "Funnel", changes={
        "num_hidden_layers": None, "block_sizes": [1, 1, 1], "d_head": 8, "num_decoder_layers": 1}),
    Architecture("fnet", "FNet", "metaspace"),
    Architecture("canine", "CANINE"),
)  # fmt: skip
COLOURS, ANIMALS = ["red", "green", "blue", "white"], ["cat", "dog", "bird", "fish"]
SENTENCES = [f"the {colour} {animal} sees a {other}" for colour in COLOURS for animal in ANIMALS for other in ANIMALS]
TEXT = [*SENTENCES, "which colour has the animal here", "nobody sees the cats or a dog at all, not even one"]
SETTINGS = {
    "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.01, "warmup": 0.1, "clip": 1.0, "precision": "float32",
    "epochs": 1, "max_length": 32, "stride": 8, "dropout": 0.1, "pooling": "cls_mean_max",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("types", nargs="*", help="model types, as in config.json; all if none is named")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCS.name}")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    logging.getLogger("intermezzo").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ARCHITECTURES:
            if not options.types or architecture.type in options.types:
                results.append(examine(architecture, Path(folder)))
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.write:
        text = DOCS.read_text(encoding="utf-8")
        inside = re.compile(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", re.DOTALL)
        DOCS.write_text(inside.sub(lambda _: "\n".join([MARKS[0], *lines(results), MARKS[1]]), text), encoding="utf-8")
    else:
        print("\n".join(lines(results)))


def lines(results: list[dict[str, Any]]) -> list[str]:
    """The table in Markdown."""
    columns = ("imports", *TRAINED, "retrieval")
    head = ["type", "examples", *columns, "difference", "packed"]
    rows = [
        [
            f"`{r['type']}`",
            r["examples"],
            *(r.get(key, "") for key in columns),
            r.get("difference", r.get("equal", "")),
            r["packed"],
        ]
        for r in results
    ]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def examine(architecture: Architecture, folder: Path) -> dict[str, Any]:
    """What works of one architecture: each answer is `yes`, or the first words of the error."""
    name = architecture.type
    result: dict[str, Any] = {"type": name, "examples": architecture.examples, "packed": ""}
    source, model = folder / name / "source", folder / name / "model"
    reference = tiny_model(architecture, source)
    result["imports"] = answer(lambda: import_encoder(ImportSpec(**{"from": str(source)}, revision=None), model))
    if result["imports"] != "yes":
        return result
    for task in TRAINED:
        result[task] = answer(lambda task=task: train(task, model, folder / name / task))
    result["retrieval"] = answer(lambda: retrieve(model))
    result["equal"] = answer(lambda: result.update(compare(reference, model)))
    return result


def answer(work: Callable[[], Any]) -> str:
    """`yes` when `work` ends well; else what a user would read."""
    try:
        work()
    except UserError as error:
        return "no: " + re.sub(r"^encoder from '[^']*': ", "", str(error).splitlines()[0])
    except Exception as error:  # any other is a fault of ours, and the table shows it
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
    return "yes"


def tiny_model(architecture: Architecture, folder: Path) -> Any:
    """Write a model folder with random weights and a tokenizer; return transformers' encoder."""
    special = write_tokenizer(architecture.tokenizer, folder)
    size = load_tokenizer(folder).get_vocab_size()
    shape = SHAPE | {"vocab_size": size} | special | dict(architecture.changes)
    config = CONFIG_MAPPING[architecture.type](**{key: value for key, value in shape.items() if value is not None})
    torch.manual_seed(0)
    masked = architecture.type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    model = (AutoModelForMaskedLM if masked else AutoModel).from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # the usual start is so small that all positions look alike
            if parameter.ndim > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    return getattr(model, "base_model", model)


def write_tokenizer(kind: str, folder: Path) -> dict[str, int]:
    """Write a tokenizer of a `kind`; the ids of special tokens as a configuration names them."""
    folder.mkdir(parents=True)
    if kind == "metaspace":
        train_tokenizer(TEXT, folder, vocab_size=120)
        return {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    if kind == "wordpiece":
        names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=[*names.values()], show_progress=False)
    else:
        names = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<|mask|>"}
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=[*names.values()], initial_alphabet=alphabet, show_progress=False
        )
    tokenizer.train_from_iterator(TEXT, trainer)
    ids = {key: tokenizer.token_to_id(token) for key, token in names.items()}
    cls, sep = names["cls"], names["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, ids["cls"]), (sep, ids["sep"])],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | {f"{key}_token": token for key, token in names.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return {"bos_token_id": ids["cls"], "pad_token_id": ids["pad"], "eos_token_id": ids["sep"]}


def rows(task: str) -> list[dict[str, Any]]:
    """Some rows of a task."""
    result = []
    for i, sentence in enumerate(SENTENCES[::4]):
        words, colour = sentence.split(), sentence.split()[1]
        row = {
            "classification": {"text": sentence, "text_pair": "nobody sees it" if i % 2 else None, "label": colour},
            "tagging": {"tokens": words, "tags": ["A" if word in ANIMALS else "X" for word in words]},
            "span": {"context": sentence, "question": "which colour", "answers": [colour],
                     "answer_starts": [sentence.index(colour)]},
            "masked text": {"text": sentence, "text_pair": None},
        }[task]  # fmt: skip
        result.append({"id": str(i)} | row)
    return result


TRAINED = {"classification": COLOURS, "tagging": ["A", "X"], "span": [], "masked text": []}
"""A training of each format -> its labels."""


def train(task: str, model: Path, out: Path) -> None:
    """A few steps; UserError or an exception if it cannot."""
    form, labels = "mlm" if task == "masked text" else task, TRAINED[task]
    out.mkdir()
    data = out / "en.parquet"
    pq.write_table(table(rows(task), form, labels), data)
    trained = TrainedTask(
        name="t", format=form, labels=tuple(labels), partial_input=None, shuffle_labels=False, examples=None, head="t",
        portions=(Portion("en", 1.0, ("en",)),),
    )  # fmt: skip
    spec = FinetuneSpec(
        phase="target",
        seed=1,
        threads=1,
        sampling="proportional",
        tasks=(trained,),
        training=TrainingSettings(**SETTINGS),
    )
    finetune(spec, model, {"t/en": data}, out / "trained", out / "state")
    if form != "mlm":
        values = {key: getattr(trained, key) for key in TaskSpec.model_fields}
        predictions = PredictionSpec(
            task=TaskSpec(**values),
            max_length=32,
            stride=8,
            pooling=SETTINGS["pooling"],
            threads=1,
            precision="float32",
        )
        predictor(predictions, out / "trained")(rows(task), "en")


def retrieve(model: Path) -> None:
    """Sentence vectors of an inner layer."""
    task = TaskSpec(name="t", format="retrieval", labels=(), partial_input=None)
    spec = PredictionSpec(
        task=task, max_length=32, stride=8, pooling="mean", layer=2, center=False, threads=1, precision="float32"
    )
    pairs = [{"id": str(i), "text": sentence, "text_pair": sentence} for i, sentence in enumerate(SENTENCES[:8])]
    predictor(spec, model)(pairs, "en")


@torch.inference_mode()
def compare(reference: Any, model: Path) -> dict[str, Any]:
    """The largest difference of our states from those of transformers' model `reference`, and whether we pack."""
    encoder = load_encoder(model).eval()
    sequences = [e.ids for e in load_tokenizer(model).encode_batch([*TEXT[-2:], "the cat", "a", *SENTENCES[:2]])]
    batch = pack(sequences, [[0] * len(ids) for ids in sequences])
    differences = []
    for layer in (None, 1):
        states = encoder(batch, layer)
        for start, ids in zip(batch.begins, sequences, strict=True):
            outputs = reference(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), output_hidden_states=True)
            expected = (outputs.last_hidden_state if layer is None else outputs.hidden_states[layer])[0]
            difference = (states[start : start + len(ids)] - expected).abs().max() / expected.std()
            differences.append(float(difference))
    if not max(differences) < CLOSE:
        raise UserError(f"differ by {max(differences):.0e}")
    return {"difference": f"{max(differences):.0e}", "packed": "yes" if encoder.packs else ""}


if __name__ == "__main__":
    main()
