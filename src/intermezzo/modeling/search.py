"""Exact inner-product search among many candidates, in blocks.

    for each block of candidates (read once, from memory, a memory map or an iterator):
        for each chunk of queries:
            the products of all pairs, by one matrix product in float32
            keep what may be among a query's best k: no more than the rounding error below its k-th best so far
            score those few again in float64 and merge them into the best k

The second scoring makes the result exact, and the same for every block size, number of threads and BLAS: a score is
the inner product in float64 rounded to float32, and of equal scores the lower index comes first. It is cheap, as few
candidates pass the k-th best so far once some blocks were read. benchmarks/search.py compares all this with faiss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

BLOCK, CHUNK, GROUP = 8192, 2048, 128
"""Candidates and queries per matrix product; products per maximum when those above a bound are sought."""
SPARSE = 64
"""Up to one pair in SPARSE is scored again by itself; for more, float64 for the whole block is faster."""
RESCORED = {"cpu": 128}
"""Pairs that are scored again at a time (65536 elsewhere): few stay in a CPU's cache, a GPU needs many."""

Vectors = torch.Tensor | np.ndarray
Pairs = tuple[torch.Tensor, torch.Tensor]
"""Rows (queries of a chunk) and columns (candidates of a block), ordered by row, then column."""


@torch.no_grad()
def search(queries: Vectors, candidates: Vectors | Iterable[Vectors], k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `k` candidates with the highest inner product for each query, best first, the lower index first at ties.

    queries (n, d); candidates (m, d): a tensor, an array, a memory map, or an iterable of such blocks, which is read
    once. Returns scores (n, min(k, m)) float32 and indices int64, on the queries' device. Memory beside the inputs:
    one block of candidates, about three times CHUNK * BLOCK products, and n * k results. A GPU must multiply in full
    float32 (torch's default): the bound on rounding does not hold for TF32.
    Raises ValueError for no candidates, for other widths than the queries', and for values that are not finite.
    """
    queries = _tensor(queries, queries.device if isinstance(queries, torch.Tensor) else torch.device("cpu"))
    scratch = torch.empty(min(CHUNK, len(queries)) * BLOCK, device=queries.device)
    bests = [_Best(chunk, k) for chunk in queries.split(CHUNK)]
    seen = 0
    for block in _blocks(candidates, queries.device):
        if block.shape[1:] != queries.shape[1:]:
            raise ValueError(f"candidates of shape {tuple(block.shape)}, queries of shape {tuple(queries.shape)}")
        longest = float(torch.linalg.vector_norm(block, dim=1).max())
        for best in bests:
            best.add(block, seen, longest, scratch)
        seen += len(block)
    if not seen:
        raise ValueError("no candidates to search in")
    return torch.cat([best.scores for best in bests]), torch.cat([best.indices for best in bests])


def _blocks(candidates: Vectors | Iterable[Vectors], device: torch.device) -> Iterator[torch.Tensor]:
    """Float32 tensors of at most BLOCK candidates."""
    for part in [candidates] if isinstance(candidates, Vectors) else candidates:
        for start in range(0, len(part), BLOCK):
            yield _tensor(part[start : start + BLOCK], device)


def _tensor(vectors: Vectors, device: torch.device) -> torch.Tensor:
    """Without a copy where that is possible; of a memory map that is read-only, torch takes nothing but a copy."""
    if isinstance(vectors, np.ndarray):
        vectors = torch.from_numpy(np.require(vectors, np.float32, ["C", "W"]))
    return vectors.to(device, torch.float32).contiguous()


class _Best:
    """The best candidates so far for a chunk of queries: scores and indices (n, up to k), best first."""

    def __init__(self, queries: torch.Tensor, k: int) -> None:
        self.queries, self.k = queries, k
        self.scores = torch.empty(len(queries), 0, device=queries.device)
        self.indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
        # |product in float32 - true product| <= about d * 2^-24 * |query| * |candidate| in any order of summation
        self.rounding = (queries.shape[1] + 16) * 2.0**-24 * torch.linalg.vector_norm(queries, dim=1)

    def add(self, block: torch.Tensor, offset: int, longest: float, scratch: torch.Tensor) -> None:
        """Take in the candidates of a block: the first one's index is `offset`, the longest one's norm `longest`."""
        error = self.rounding * longest
        if not torch.isfinite(error).all():
            raise ValueError("vectors to search hold values that are not finite")
        products = _products(self.queries, block, scratch)
        pairs: Pairs | None = None
        full = self.scores.shape[1] == self.k
        least = self.scores[:, -1] if full else torch.full_like(error, -torch.inf)
        if full:
            pairs = _above(products, least - error)
        if pairs is None:  # a first block, or one that is better than all before: no more than its own best k can stay
            block_scores = products.topk(min(self.k, len(block))).values[:, -1]
            pairs = _above(products, torch.maximum(least - error, block_scores - 2 * error))
        if pairs is None:  # vectors too alike for float32, or a small block
            products = (self.queries.double() @ block.double().T).float()
            block_scores = products.topk(min(self.k, len(block))).values[:, -1]
            rows, columns = (products >= block_scores[:, None]).nonzero(as_tuple=True)
            pairs, scores = (rows, columns), products[rows, columns]
        else:
            scores = self._score_again(block, pairs)
        better = scores > least[pairs[0]]
        if better.any():
            self._merge(pairs[0][better], pairs[1][better] + offset, scores[better])

    def _score_again(self, block: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        size = RESCORED.get(block.device.type, 65536)
        parts = zip(*(part.split(size) for part in pairs), strict=True)
        return torch.cat([(self.queries[r].double() * block[c].double()).sum(-1).float() for r, c in parts])

    def _merge(self, rows: torch.Tensor, indices: torch.Tensor, scores: torch.Tensor) -> None:
        """Sort new candidates in. They come by row and index, after all old ones: a stable sort settles ties."""
        changed, place, counts = rows.unique_consecutive(return_inverse=True, return_counts=True)
        cell = (place, torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[place])
        shape = (len(changed), int(counts.max()))
        new_scores = scores.new_full(shape, -torch.inf).index_put_(cell, scores)
        new_indices = indices.new_zeros(shape).index_put_(cell, indices)
        merged, order = torch.cat([self.scores[changed], new_scores], 1).sort(descending=True, stable=True)
        merged, order = merged[:, : self.k], order[:, : self.k]
        merged_indices = torch.cat([self.indices[changed], new_indices], 1).gather(1, order)
        if len(changed) == len(self.queries):  # always so as long as there are fewer than k
            self.scores, self.indices = merged.contiguous(), merged_indices
        else:
            self.scores[changed], self.indices[changed] = merged, merged_indices


def _products(queries: torch.Tensor, block: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """(n, d), (b, d) -> (n, b) in the memory of `scratch`."""
    out = scratch[: len(queries) * len(block)].view(len(queries), len(block))
    if out.device.type == "cpu":  # numpy's BLAS (OpenBLAS) is faster than torch's (MKL) on AMD, equal on Intel
        np.matmul(queries.numpy(), block.numpy().T, out=out.numpy())
        return out
    return torch.mm(queries, block.T, out=out)


def _above(products: torch.Tensor, least: torch.Tensor) -> Pairs | None:
    """The pairs whose product is at least their row's `least`; None when they are more than one in SPARSE.

    Maxima of groups are found as fast as memory is read, and few groups are then looked into.
    """
    n, b = products.shape
    width = GROUP if b % GROUP == 0 else b
    groups = products.view(n, b // width, width)
    rows, group = (groups.amax(-1) >= least[:, None]).nonzero(as_tuple=True)
    if len(rows) * SPARSE > n * b:
        return None
    place, column = (groups[rows, group] >= least[rows, None]).nonzero(as_tuple=True)
    return (rows[place], group[place] * width + column) if len(place) * SPARSE <= n * b else None
