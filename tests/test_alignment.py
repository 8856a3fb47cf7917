"""Realignment: its losses against a plain implementation, what it trains, resuming, mixes of pairs, and bad input."""

import json
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel

from intermezzo.config import catalogue
from intermezzo.config.load import load
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.jobs import Tracked, jobs_of
from intermezzo.dag.specs import Specs
from intermezzo.mixing import shares
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.heads import alignment
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.costs import Costs
from intermezzo.planning.rates import Rates
from intermezzo.specs.finetuning import Alignment, FinetuneSpec
from intermezzo.tasks import load_task
from intermezzo.tasks.formats import table
from intermezzo.training import states
from intermezzo.training.batches import TaskBatches
from intermezzo.training.finetune import finetune
from intermezzo.training.gradient import Gradient
from intermezzo.training.pretrain import pretrain
from specifications import encoding, finetuning, pretraining, task
from toy_training import PRETRAIN, TASKS, rows, weights

SETTINGS = {"temperature": 0.3, "regulariser": 0.7}
PAIRS = [
    ("ab cd ef", "the dog sees"),
    ("gh cd ab ij", "a cat sees the dog"),
    ("ab cd ef", "the red dog"),  # the same sentence twice, with other translations
    ("ij kl", "the dog sees"),  # the same translation twice
]
GIVEN = [[[0, 0], [2, 2]], [[1, 1], [3, 4]], [], [[1, 2]]]


@pytest.fixture(scope="module")
def two_layers(data, tmp_path_factory):
    """A toy encoder of two layers."""
    folder = tmp_path_factory.mktemp("aligned")
    shape = PRETRAIN.model.replace(layers=2)
    job = pretraining().replace(model=shape)
    pretrain(job, {code: data("text", code) for code in job.languages}, {}, folder / "model", folder / "state")
    return folder / "model"


def aligned(level="sentence", **changes) -> FinetuneSpec:
    """An intermediate on pairs. changes: of the alignment, or (`tasks`, `settings`) of the training."""
    others, settings = changes.pop("tasks", ()), changes.pop("settings", {})
    portions = [["en", 3, ["en"]], ["xx", 1, ["xx"]]]
    tasks = [task(name, TASKS[name]["format"], TASKS[name]["labels"], portions=portions) for name in others]
    align = Alignment(level=level, **SETTINGS | changes)
    tasks.append(task("pairs", "retrieval", portions=[["xx", 1, ["xx"]]], align=align))
    return finetuning(*tasks, settings={"epochs": 1} | settings, phase="intermediate")


def inputs(data, *tasks):
    """Files of some toy tasks, and 64 pairs whose words the toy tokenizer knows."""
    files = {f"{name}/{code}": data(name, code) for name in tasks for code in ("en", "xx")}
    path = data("text", "xx").with_name("pairs.parquet")
    if not path.exists():
        texts = [row["text"] for row in rows("text", 64, 5)]
        pairs = [{"id": str(i), "text": text.replace("the", "ab"), "text_pair": text} for i, text in enumerate(texts)]
        pq.write_table(table(pairs, "retrieval", []), path)
    return files | {"pairs/xx": path}


def attached(model, level, **changes):
    """A head, its frozen copy in double precision, and an encoder in it that has moved away from its start."""
    align = Alignment(level=level, **SETTINGS | changes)
    encoder = load_encoder(model, dropout=0.0)
    head = alignment.Head(encoder.hidden_size, task("t", "retrieval", align=align).head_spec("cls"))
    head.attach(encoder, model)
    head.start = [start.double() for start in head.start]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in encoder.double().parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return head, encoder


def encoded(model):
    examples = [{"text": a, "text_pair": b, "alignment": given} for (a, b), given in zip(PAIRS, GIVEN, strict=True)]
    return alignment.encode(examples, load_tokenizer(model), encoding({}, {"max_length": 32, "stride": 8}))


def plain_loss(model, start, features, word_pairs, level, layer):
    """The loss sentence by sentence and pair by pair, as its definition says."""

    def states(net, ids):
        out = net(input_ids=torch.tensor([list(ids)]), output_hidden_states=True)
        return out.last_hidden_state[0] if layer is None else out.hidden_states[layer][0]

    def info_nce(pairs):
        total = torch.zeros((), dtype=torch.float64)
        for turn in (0, 1):
            for own in pairs:
                logits = []
                for other in pairs:
                    if other is own or not (own[2] == other[2] or own[3] == other[3]):
                        logits.append(nn.functional.cosine_similarity(own[turn], other[1 - turn], dim=0) / 0.3)
                gold = nn.functional.cosine_similarity(own[0], own[1], dim=0) / 0.3
                total = total - (gold - torch.logsumexp(torch.stack(logits), 0)) / len(pairs) / 2
        return total

    sentences, words, distances = [], [], []
    for feature, pairs in zip(features, word_pairs, strict=True):
        left, right = (states(model, ids) for ids in feature.sequences)
        sentences.append((left.mean(0), right.mean(0), *map(tuple, feature.sequences)))
        for first, second in pairs:
            pieces = [tuple(ids[i] for i in part) for ids, part in zip(feature.sequences, (first, second), strict=True)]
            words.append((left[first].mean(0), right[second].mean(0), *pieces))
        before = states(start, feature.sequences[1]).detach()
        distances.append(((right - before).square().sum(1) / before.square().sum(1)).mean())
    loss = 0.7 * torch.stack(distances).mean()
    loss = loss + info_nce(sentences) if level != "word" else loss
    return loss + info_nce(words) if level != "sentence" else loss


@pytest.mark.parametrize(
    ("level", "changes"),
    [
        ("sentence", {}),
        ("sentence", {"layer": 1}),
        ("word", {"from_files": True}),
        ("word", {"match_layer": 0}),
        ("both", {}),
    ],
)
def test_losses_and_gradients_are_those_of_a_plain_implementation(two_layers, level, changes):
    head, encoder = attached(two_layers, level, **changes)
    prepared = head.prepare(encoded(two_layers), torch.device("cpu"))
    word_pairs = [f.extra.get("pairs", []) for f in prepared]
    if level != "sentence":
        assert sum(map(len, word_pairs)) >= 4
    loss = head.loss(head.read(encoder, prepared, torch.device("cpu")), prepared)
    loss.backward()
    plain, start = (AutoModel.from_pretrained(two_layers, attn_implementation="eager").double() for _ in range(2))
    plain.load_state_dict(encoder.model.state_dict(), strict=False)  # transformers adds a pooler
    expected = plain_loss(plain.eval(), start.eval(), prepared, word_pairs, level, changes.get("layer"))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    wanted = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
    grads = {name: p.grad for name, p in encoder.model.named_parameters() if p.grad is not None}
    assert wanted.keys() == grads.keys()
    assert all(torch.allclose(grads[name], wanted[name], rtol=1e-7, atol=1e-10) for name in wanted)


def test_words_are_paired_by_the_frozen_copy_where_each_is_the_others_nearest(two_layers):
    head, _ = attached(two_layers, "word")
    features = encoded(two_layers)
    tokenizer, start = load_tokenizer(two_layers), AutoModel.from_pretrained(two_layers).double().eval()
    for feature, (text, english), prepared in zip(
        features, PAIRS, head.prepare(features, torch.device("cpu")), strict=True
    ):
        vectors = []
        for ids, sentence in zip(feature.sequences, (text, english), strict=True):
            states = start(input_ids=torch.tensor([ids])).last_hidden_state[0]
            ends, groups = [], []
            for word in sentence.split():
                ends.append((sentence.index(word, ends[-1][1] if ends else 0), 0))
                ends[-1] = (ends[-1][0], ends[-1][0] + len(word))
            offsets = tokenizer.encode(sentence).offsets
            for begin, end in ends:
                groups.append([i for i, (a, b) in enumerate(offsets) if a < end and b > begin])
            vectors.append((groups, torch.stack([states[group].mean(0) for group in groups])))
        (left, x), (right, y) = vectors
        cosine = nn.functional.cosine_similarity(x[:, None], y[None], dim=-1)
        best = [(i, int(cosine[i].argmax())) for i in range(len(left))]
        expected = [(left[i], right[j]) for i, j in best if int(cosine[:, j].argmax()) == i]
        assert [(list(a), list(b)) for a, b in prepared.extra["pairs"]] == expected


def test_a_text_without_spaces_counts_each_piece_as_a_word():
    assert alignment._groups([-1, 0, 0, 1, -1]) == [[1, 2], [3]]
    assert alignment._groups([-1, *[0] * 9, -1]) == [[i] for i in range(1, 10)]


@pytest.mark.parametrize("level", ["sentence", "both"])
def test_a_batch_in_parts_has_the_gradient_of_the_whole_one(two_layers, level):
    head, encoder = attached(two_layers, level, from_files=True)
    features = {"t": head.prepare(encoded(two_layers), torch.device("cpu"))}
    system = nn.ModuleDict({"encoder": encoder, "heads": nn.ModuleDict({"t": head})})
    batches = TaskBatches(system, {"t": "t"}, features, [("t", range(len(PAIRS)))], {"t": list("abcd")})
    results = []
    for budget in (None, 1):
        loss, _ = Gradient(batches, "float32", budget, [*system.parameters()])(0, lambda: None)
        results.append((loss.item(), [p.grad.clone() for p in system.parameters() if p.grad is not None]))
        system.zero_grad(set_to_none=True)
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(results[0][1], results[1][1], strict=True))


def encoder_weights(folder):
    return {name.removeprefix("roberta."): value for name, value in load_file(folder / "model.safetensors").items()}


@pytest.mark.parametrize("half", ["lower", "upper"])
def test_only_the_chosen_half_changes(two_layers, data, tmp_path, half):
    finetune(aligned(layers=half), two_layers, inputs(data), tmp_path / "m", tmp_path / "s")
    before, after = encoder_weights(two_layers), encoder_weights(tmp_path / "m")
    lower = {name for name in after if name.startswith("embeddings") or "layer.0." in name}
    upper = {name for name in after if "layer.1." in name}
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    chosen, other = (lower, upper) if half == "lower" else (upper, lower)
    assert not changed & other and changed & chosen


def test_the_regulariser_keeps_english_near_its_start(two_layers, data, tmp_path):
    ids = torch.tensor([load_tokenizer(two_layers).encode("the red cat sees a dog").ids])
    before = AutoModel.from_pretrained(two_layers).eval()(input_ids=ids).last_hidden_state
    distances = []
    for weight in (0.0, 100.0):
        job, out = aligned(regulariser=weight, settings={"epochs": 3}), tmp_path / f"{weight}"
        finetune(job, two_layers, inputs(data), out, tmp_path / "s")
        after = AutoModel.from_pretrained(out).eval()(input_ids=ids).last_hidden_state
        distances.append((after - before).square().mean().item())
    assert distances[1] < 0.5 * distances[0]


@pytest.fixture
def die(monkeypatch):
    """die(step): a state after every step, and a kill right after that one."""
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    save = states.State.save

    def kill_after(last):
        def save_and_die(state, step, progress):
            save(state, step, progress)
            if step == last:
                monkeypatch.setattr(states.State, "save", save)
                raise KeyboardInterrupt

        monkeypatch.setattr(states.State, "save", save_and_die)

    return kill_after


@pytest.mark.parametrize(("tasks", "level"), [((), "word"), (("colour",), "both")])
def test_a_killed_realignment_resumes_to_the_same_bytes(two_layers, data, tmp_path, die, tasks, level):
    job, files = aligned(level, tasks=tasks, layers="upper"), inputs(data, *tasks)
    finetune(job, two_layers, files, tmp_path / "whole", tmp_path / "s")
    die(3)
    with pytest.raises(KeyboardInterrupt):
        finetune(job, two_layers, files, tmp_path / "killed", tmp_path / "s")
    finetune(job, two_layers, files, tmp_path / "killed", tmp_path / "s")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("killed", "whole")]
    assert manifests[0] == manifests[1]
    assert manifests[0]["steps"] > 3


def test_the_restricted_vocabulary_is_exact_beside_pairs_that_leave_embeddings_alone(two_layers, data, tmp_path):
    files, folders = inputs(data, "colour"), []
    for restricted in (True, False):
        settings = {"restrict_vocabulary": restricted, "weight_decay": 0.5, "dropout": 0.0}
        job = aligned(tasks=("colour",), layers="upper", settings=settings)
        folders.append(tmp_path / f"{restricted}")
        finetune(job, two_layers, files, folders[-1], tmp_path / "s")
    ours, full = map(encoder_weights, folders)
    assert all(torch.allclose(ours[name], full[name], rtol=1e-5, atol=1e-6) for name in full)


# -- alignments from files ---------------------------------------------------------------------------------------------


def parallel(folder):
    path = folder / "pairs.parquet"
    rows = [{"id": str(i), "text": a, "text_pair": b} for i, (a, b) in enumerate(PAIRS)]
    pq.write_table(table(rows, "retrieval", []), path)
    return path


def train_from_file(two_layers, tmp_path, text, level="word"):
    (tmp_path / "xx.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    files = {"pairs/xx": parallel(tmp_path), "alignment/xx": tmp_path / "xx.txt"}
    job = aligned(level, from_files=True)
    pairs = job.tasks[0].replace(examples=4)
    finetune(job.replace(tasks=(pairs,)), two_layers, files, tmp_path / "m", tmp_path / "s")


def test_alignments_come_from_files(two_layers, tmp_path):
    train_from_file(two_layers, tmp_path, "0-0 2-2\n1-1 3-4\n\n1-2\n")
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert {"pairs/xx", "alignment/xx"} == manifest["data_sha256"].keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n1-1\n", r"xx\.txt: 2 lines, and .*pairs\.parquet has 4 rows; a line for each row is needed"),
        ("0-0\n\n\n1-2\n\n", r"5 lines, and .* has 4 rows"),
        ("", r"0 lines, and .* has 4 rows"),
        ("0-0\n1-x\n\n\n", r"xx\.txt: line 2: '1-x' is no pair of words; two numbers such as 0-2 are needed"),
        ("0-0\n\n0-3\n\n", r"line 3: 0-3: its English translation has 3 words, which count from 0"),
        ("3-0\n\n\n\n", r"line 1: 3-0: the sentence has 3 words"),
        (b"\xff\xfe0\n\n\n\n", r"xx\.txt: cannot be read \(not text in UTF-8\)"),
    ],
)
def test_a_bad_file_of_alignments_is_one_message(two_layers, tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        train_from_file(two_layers, tmp_path, text)
    assert not (tmp_path / "m").exists()


# -- in the experiment -------------------------------------------------------------------------------------------------


def config(tmp_path, text):
    (tmp_path / "own.yaml").write_text(text)
    return load(tmp_path / "own.yaml")


ALONE = "grid: {intermediates: [aligned, both], targets: [retrieval, nli]}\nintermediates:\n"
ALONE += "  aligned: {align: {pairs: 300}}\n  both: {tasks: [nli], align: {level: word, pairs: 90}}\n"


def test_a_mix_divides_pairs_and_the_share_of_english_goes_to_other_languages(tmp_path):
    experiment, pairs = config(tmp_path, ALONE), load_task("parallel")
    english = shares(catalogue.portions_of(experiment, "en", pairs))
    assert english == dict.fromkeys(["kar", "nor", "vel", "zha"], 0.25)
    mixed = shares(catalogue.portions_of(experiment, "en+rare", pairs))
    rare = set(catalogue.rare_languages(experiment))
    assert set(mixed) == rare | english.keys()
    assert sum(mixed[code] for code in rare) == pytest.approx(0.25)


def test_a_realignment_is_an_intermediate_like_any_other(tmp_path):
    experiment = config(tmp_path, ALONE)
    grid = Grid(experiment)
    specs, inputs_, jobs = Specs(grid), Inputs(grid), jobs_of(grid)
    keys = {"encoder": "world", "mix": "en+rare", "seed": "0"}
    alone = FinetuneSpec.read(specs.spec_intermediate(SimpleNamespace(intermediate="aligned", **keys)))
    beside = FinetuneSpec.read(specs.spec_intermediate(SimpleNamespace(intermediate="both", **keys)))
    assert [(t.name, t.examples, t.align is not None) for t in alone.tasks] == [("parallel", 300, True)]
    assert [(t.name, t.examples, t.align is not None) for t in beside.tasks] == [
        ("nli", 6000, False),
        ("parallel", 90, True),
    ]
    assert set(alone.data_names) == set(inputs_.intermediate_files("aligned", "en+rare"))
    job = jobs["intermediate/world/aligned/en+rare/seed0"]
    assert "data/world/parallel/fri/train" in job.needs and Tracked(grid).of(job)["spec"] == alone.canonical()
    design = json.loads(specs.spec_summary())
    assert design["intermediates"]["aligned"]["tasks"] == ["parallel"]
    assert set(design["intermediates"]["aligned"]["rows"]["en"]["parallel"]) == {"kar", "nor", "vel", "zha"}


def test_other_settings_and_code_of_pairs_rerun_this_intermediate_alone(tmp_path):
    keys = {"encoder": "world", "mix": "en", "seed": "0"}
    values = []
    for text in (ALONE, ALONE.replace("pairs: 300", "pairs: 300, temperature: 0.2")):
        specs = Specs(Grid(config(tmp_path, text)))
        values.append([specs.spec_intermediate(SimpleNamespace(intermediate=n, **keys)) for n in ("aligned", "both")])
    assert values[0][0] != values[1][0] and values[0][1] == values[1][1]


def test_a_plan_prices_pairs(tmp_path):
    def cost(pairs, epochs):
        text = ALONE.replace("pairs: 300", f"pairs: {pairs}").replace(
            "aligned: {", f"aligned: {{training: {{epochs: {epochs}}}, "
        )
        grid = Grid(config(tmp_path, text))
        job = jobs_of(grid)["intermediate/world/aligned/en/seed0"]
        return Costs(grid, Amounts(grid.config), Rates.read()).cost(job)

    base, doubled, longer = cost(320, 2), cost(640, 2), cost(320, 6)
    assert doubled.tokens == pytest.approx(2 * base.tokens)
    assert longer.tokens == pytest.approx(3 * base.tokens) and longer.seconds > base.seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "align: {layers: middle}",
            r"intermediates\.x\.align\.layers: allowed: 'all', 'lower' or 'upper'; found 'middle'",
        ),
        ("align: {level: phrase}", r"intermediates\.x\.align\.level: .*phrase"),
        ("align: {layer: 7}", r"intermediates\.x\.align\.layer: 7, but encoder 'world' has 2 \(0 = embeddings\)"),
        ("align: {layers: upper, layer: 1}", r"align\.layers: 'upper' .*layer 1"),
        ("align: {task: nli}", r"intermediates\.x\.align\.task: 'nli' has no pairs with English"),
        ("align: {task: none}", r"intermediates\.x\.align\.task: 'none' has no pairs with English"),
        ("align: {}, shuffle_labels: true", r"intermediates\.x: pairs of translations have no labels"),
        ("align: {}, tasks: [parallel]", r"intermediates\.x\.tasks: 'parallel' is listed more than once"),
        ("align: {level: word, alignments: nowhere}", r"align\.alignments: .*nor\.txt.* missing in .*nowhere"),
        ("align: {alignments: nowhere}", r"align\.alignments: nowhere: sentences need no words"),
        ("align: {temperature: 0}", r"intermediates\.x\.align\.temperature: .*0"),
    ],
)
def test_bad_settings_are_one_message(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        config(tmp_path, f"grid: {{intermediates: [x]}}\nintermediates: {{x: {{{text}}}}}\n")
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("{weights: {en: 0.5, tsx: 0.5}}", "unknown language or group"),
        (
            "{weights: {en: 0.75, '@rare': 0.25}, budget: additive}",
            r"intermediates\.x\.align: mix 'm' is not for pairs",
        ),
        ("{weights: {en: 0.75, '@rare': 0.25}, unit: tokens}", r"intermediates\.x\.align: mix 'm' is not for pairs"),
        (
            "{weights: {en: 0.75, '@rare': 0.25}, translated: true}",
            r"intermediates\.x\.align: mix 'm' is not for pairs",
        ),
    ],
)
def test_a_mix_that_pairs_cannot_follow_is_one_message(tmp_path, mix, message):
    text = f"grid: {{intermediates: [x], mixes: [en, m]}}\nmixes: {{m: {mix}}}\nintermediates: {{x: {{align: {{}}}}}}\n"
    with pytest.raises(UserError, match=message):
        config(tmp_path, text)


def test_a_language_without_pairs_is_one_message(tmp_path):
    text = "data: {source: files, root: /nowhere}\ngrid: {intermediates: [x], mixes: [m], targets: [xnli]}\n"
    text += "mixes: {m: {weights: {sw: 0.5, ay: 0.5}}}\nintermediates: {x: {align: {}}}\n"
    with pytest.raises(UserError, match=r"mixes\.m\.weights\.ay: task 'parallel' has no training data there"):
        config(tmp_path, text)


def test_english_without_other_languages_to_pair_it_with_is_one_message(tmp_path):
    text = ALONE + "languages: {rare: [nor, vel, kar, zha, fri, mor, qul, tiw, sul, tsa, wab, odo]}\n"
    with pytest.raises(UserError, match=r"mixes\.en\.weights\.en: task 'parallel' is pairs with English, so its share"):
        config(tmp_path, text)
