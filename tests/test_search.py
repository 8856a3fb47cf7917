"""Exact search: equal to brute force whatever the blocks, with ties in order; retrieval, mining and ranking on top."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from intermezzo.modeling import search as module
from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.heads.mining import best_threshold, mine, mine_rows
from intermezzo.modeling.heads.retrieval import nearest
from intermezzo.modeling.packing import pack
from intermezzo.modeling.search import search
from specifications import head_spec


def brute_force(queries: torch.Tensor, candidates: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    scores = (queries.double() @ candidates.double().T).float()
    order = scores.sort(descending=True, stable=True).indices[:, :k]
    return scores.gather(1, order), order


def vectors(kind: str, n: int, m: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    queries, candidates = torch.randn(n, d), torch.randn(m, d)
    if kind == "ties":  # few values: most inner products occur many times
        return queries.round().clamp(-1, 1), candidates.round().clamp(-1, 1)
    if kind == "doubles":  # each vector many times, over all blocks
        return queries, candidates[torch.arange(m) % 13]
    if kind == "alike":  # differences far below what float32 products resolve
        return queries, candidates[:1] + 1e-6 * candidates
    if kind == "rising":  # every block is better than all before it
        return queries.abs(), candidates.abs() * torch.arange(m)[:, None]
    if kind == "lengths":  # one long vector makes the bound on rounding a loose one
        candidates[m // 2] *= 1e4
    return queries, candidates


@pytest.fixture
def sizes(monkeypatch):
    def set_to(block: int, chunk: int, group: int) -> None:
        for name, value in (("BLOCK", block), ("CHUNK", chunk), ("GROUP", group)):
            monkeypatch.setattr(module, name, value)

    return set_to


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "ties", "doubles", "alike", "rising", "lengths"])
@pytest.mark.parametrize(("block", "chunk", "group"), [(8192, 2048, 128), (1024, 16, 64), (100, 7, 32), (3, 5, 1)])
def test_search_equals_brute_force_in_any_blocks(kind, block, chunk, group, sizes):
    sizes(block, chunk, group)
    queries, candidates = vectors(kind, 37, 2500 if block > 50 else 230, 24)
    for k in (1, 5, 20):
        scores, indices = search(queries, candidates, k)
        expected_scores, expected = brute_force(queries, candidates, k)
        assert torch.equal(scores, expected_scores) and torch.equal(indices, expected)


def test_few_pairs_are_scored_again(sizes, monkeypatch):
    """The price of exactness: about k pairs of the first block, k/2 of the second, k/3 of the third ..."""
    sizes(1024, 64, 64)
    counted = []
    again = module._Best._score_again
    monkeypatch.setattr(module._Best, "_score_again", lambda *args: counted.append(len(args[2][0])) or again(*args))
    queries, candidates = vectors("random", 64, 20 * 1024, 32)
    search(queries, candidates, 5)
    assert len(counted) == 20 and sum(counted) < 64 * 5 * sum(1 / i for i in range(1, 21)) * 1.2


def test_candidates_may_be_arrays_memory_maps_or_blocks_read_once(tmp_path, sizes):
    sizes(256, 64, 64)
    queries, candidates = vectors("ties", 20, 1500, 16)
    expected = brute_force(queries, candidates, 7)
    np.save(tmp_path / "c.npy", candidates.numpy())
    mapped = np.load(tmp_path / "c.npy", mmap_mode="r")
    parts = iter([candidates[:3], candidates[3:1000].numpy(), mapped[1000:1000], mapped[1000:]])
    for given in (candidates.numpy(), mapped, parts, candidates.double(), candidates.T.contiguous().T):
        scores, indices = search(queries, given, 7)
        assert torch.equal(scores, expected[0]) and torch.equal(indices, expected[1])
    assert torch.equal(search(queries.numpy(), candidates, 7)[1], expected[1])


def test_fewer_candidates_than_asked_for_give_all_of_them():
    queries, candidates = vectors("ties", 6, 9, 4)
    scores, indices = search(queries, [candidates[:2], candidates[2:]], 20)
    assert scores.shape == indices.shape == (6, 9)
    assert torch.equal(indices, brute_force(queries, candidates, 9)[1])


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (torch.empty(0, 4), "no candidates"),
        ([], "no candidates"),
        (torch.ones(3, 5), "shape"),
        (torch.tensor([[1.0, 2, 3, float("nan")]]), "not finite"),
        (torch.tensor([[1.0, 2, 3, float("inf")]]), "not finite"),
    ],
)
def test_what_cannot_be_searched_is_refused(candidates, message):
    with pytest.raises(ValueError, match=message):
        search(torch.ones(2, 4), candidates, 3)


def test_nearest_takes_the_highest_cosine_and_the_first_at_a_tie():
    torch.manual_seed(0)
    queries, candidates = torch.randn(50, 8), torch.randn(60, 8)
    expected = torch.cosine_similarity(queries[:, None], candidates[None], dim=-1).argmax(-1).tolist()
    assert nearest(queries, candidates, center=False) == expected
    assert nearest(torch.ones(1, 2), torch.ones(3, 2), center=False) == [0]
    shifted = nearest(queries + 30, queries.flip(0) - 50, center=True)
    assert shifted == list(range(49, -1, -1))  # what a language adds to all its vectors is gone


def at_angles(*degrees: float) -> torch.Tensor:
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], 1)


def test_mining_by_hand():
    """Two foreign sentences at 0 and 60 degrees, three English ones at 0, 60 and 90; cosines 1, 0.5, 0.866, 0; k = 2.

    Mean of the two nearest: foreign 0.75 and 0.933, English 0.75, 0.75 and 0.433. The second foreign sentence has
    cosine 1 with the second English one but the margin 0.866 / 0.683 = 1.268 with the third, which has few friends,
    against 1 / 0.8415 = 1.188. The second English sentence then finds its only choice taken.
    """
    scores, pairs = mine(at_angles(0, 60), at_angles(0, 60, 90), 2)
    assert pairs == [(0, 0), (1, 2)]
    root = 3**0.5 / 2
    assert scores == pytest.approx([1 / 0.75, root / (((1 + root) / 2 + root / 2) / 2)], abs=1e-6)


def test_mining_equals_the_definition_written_out():
    torch.manual_seed(0)
    foreign, english = normalize(torch.randn(50, 4).double(), dim=-1), normalize(torch.randn(70, 4).double(), dim=-1)
    cosines = (foreign @ english.T).tolist()
    of_english = [list(column) for column in zip(*cosines, strict=True)]

    def near(values: list[float]) -> list[int]:
        return sorted(range(len(values)), key=lambda at: -values[at])[:3]

    def mean(values: list[float]) -> float:
        return sum(values[at] for at in near(values)) / 3

    def margin(i: int, j: int) -> float:
        return cosines[i][j] / ((mean(cosines[i]) + mean(of_english[j])) / 2)

    proposals = [(i, max(near(cosines[i]), key=lambda j: margin(i, j))) for i in range(50)]
    proposals += [(max(near(of_english[j]), key=lambda i: margin(i, j)), j) for j in range(70)]
    expected: list[tuple[int, int]] = []
    for i, j in sorted(proposals, key=lambda pair: -margin(*pair)):
        if i not in {a for a, _ in expected} and j not in {b for _, b in expected}:
            expected.append((i, j))
    scores, pairs = mine(foreign, english, 3)
    assert pairs == expected and scores == pytest.approx([margin(*pair) for pair in pairs], rel=1e-5)


def test_mining_pairs_each_sentence_once_and_takes_proposals_of_both_sides():
    torch.manual_seed(0)
    english = normalize(torch.randn(60, 16), dim=-1)
    foreign = normalize(torch.cat([english[:40] + 0.1 * torch.randn(40, 16), torch.randn(30, 16)]), dim=-1)
    scores, pairs = mine(foreign, english)
    assert scores == sorted(scores, reverse=True)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert {(i, i) for i in range(40)} <= set(pairs[:45])
    swapped, other = mine(english, foreign)
    assert swapped == pytest.approx(scores) and {(j, i) for i, j in other} == set(pairs)


@pytest.mark.parametrize(
    ("scores", "right", "gold", "threshold"),
    [
        # F1 of the first 1, 2, 3, 4 pairs: 2/4, 2/5, 4/6, 4/7
        ([0.9, 0.8, 0.7, 0.6], [0, 2], 3, 0.65),
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 2, 3], 4, 0.6),  # all kept: the last one's score
        ([0.9, 0.8, 0.8, 0.6], [0, 1], 2, 0.7),  # equal scores stay together: 4/5 beats 2/3
        ([0.9, 0.8, 0.8, 0.8], [0, 1], 4, 0.8),  # 2/5 for one pair, 4/8 for all four
        ([0.9, 0.8], [], 3, float("inf")),
        ([], [], 3, float("inf")),
    ],
)
def test_the_threshold_has_the_best_f1(scores, right, gold, threshold):
    pairs = [(f"f{i}", f"e{i}") for i in range(len(scores))]
    wanted = {pairs[i] for i in right} | {(f"g{i}", "x") for i in range(gold - len(right))}
    assert best_threshold(scores, pairs, wanted) == pytest.approx(threshold)


def test_repeated_sentences_are_searched_once_and_never_mined():
    table = {"a": [1.0, 0], "b": [0.0, 1], "c": [-1.0, 0], "d": [0.0, -1]}
    rows = [{"id": f"{side[0]}{i}", "text": text, "side": side}
            for side, texts in (("foreign", "abbd"), ("english", "bdac")) for i, text in enumerate(texts)]  # fmt: skip
    asked = []

    def embed(texts: list[str]) -> torch.Tensor:
        asked.append(texts)
        return torch.tensor([table[text] for text in texts])

    _, pairs = mine_rows(rows, embed, center=False)
    assert asked == [["a", "b", "d"], ["b", "d", "a", "c"]]
    assert dict(pairs) == {"f0": "e2", "f3": "e1"}
    assert mine_rows(rows[:4], embed, center=False) == ([], [])


def test_ranking_loss_is_softmax_over_the_batch_and_learns_a_toy_mapping():
    ranking = format_module("ranking")
    torch.manual_seed(0)
    head = ranking.Head(8, head_spec({}, {"pooling": "cls", "dropout": 0.0}))
    assert head.scale.tolist() == [100.0]
    features = [Feature(i, [[1 + i], [11 + i]], [[0], [0]]) for i in range(10)]
    batch = pack([s for f in features for s in f.sequences], [[0]] * 20)
    table = torch.nn.Embedding(21, 8)
    found = head(table(batch.tokens), batch)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(20))
    logits = 100 * found[0::2] @ found[1::2].T
    torch.testing.assert_close(head.loss(found, features), cross_entropy(logits, torch.arange(10)))
    optimizer = torch.optim.Adam([*table.parameters(), *head.parameters()], lr=0.02)
    for _ in range(60):
        loss = head.loss(head(table(batch.tokens), batch), features)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pieces = list(zip(features, ranking.decode(head, head(table(batch.tokens), batch), features), strict=True))
    queries = ranking.join(pieces[::-1], [{}] * 10).detach()
    texts = head(table(batch.tokens), batch)[1::2].detach()
    assert [row[0] for row in ranking.best(queries, texts, 3)] == list(range(10)) and torch.isfinite(loss)


@pytest.mark.parametrize("alike", [0.0, 1e-4])
def test_ranking_trains_where_all_sequences_begin_alike(alike):
    """A collapsed encoder: cosines of almost 1 everywhere, scaled by 100, still give a finite loss and gradient."""
    ranking = format_module("ranking")
    torch.manual_seed(0)
    head = ranking.Head(8, head_spec({}, {"pooling": "cls", "dropout": 0.0}))
    features = [Feature(i, [[1], [2]], [[0], [0]]) for i in range(4)]
    batch = pack([[1]] * 8, [[0]] * 8)
    states = (torch.ones(8, 8) * 3 + alike * torch.randn(8, 8)).requires_grad_()
    loss = head.loss(head(states, batch), features)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(states.grad).all() and loss < 5
