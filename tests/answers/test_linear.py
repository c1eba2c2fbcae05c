"""Linear scores against the sum that their file's docstring states."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from matinee.answers.bf16 import bf16
from matinee.answers.context import Context
from matinee.answers.decay import decayed, recency, window_of
from matinee.answers.linear import LinearScorer
from matinee.core.promise import Part
from matinee.core.types import Askers, Histories, histories_of, newcomers

N = 7
DECAYS, WINDOWS = (0.5, 0.9), (3, 0)
LATER = (np.arange(2 * N) >= 5)[:, None].astype(np.float32)
LISTS = [[0, 3, 5, 5, 2], [], [-1, 6, 99, 1], [4]]


def context() -> Context:
    return Context(n_items=N, popularity=np.array([1, 1, 1, 1, 0, 1, 1], np.float32))


def matrix() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(2 * N, N)).astype(np.float32)


def csr(matrix: np.ndarray) -> dict[str, np.ndarray]:
    sparse = scipy.sparse.csr_matrix(matrix)
    return {"indptr": sparse.indptr, "indices": sparse.indices, "data": sparse.data}


def tensors_of(storage: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The tensors of one way to store weights, and the matrix that they stand for."""
    full = matrix()
    if storage == "dense":
        return {"weights": full}, full
    if storage == "bf16":
        bits = bf16(full)
        return {"weights": bits}, (bits.astype(np.uint32) << 16).view(np.float32)
    if storage == "sparse":
        full = np.where(np.abs(full) > 0.5, full, 0).astype(np.float32)
        return csr(full), full
    left, right = full[:, :3].copy(), full[:3].copy()
    return {"left": left, "right": right, **csr(full)}, left @ right + full


def scorer_of(storage: str, **more: np.ndarray) -> tuple[LinearScorer, np.ndarray]:
    tensors, full = tensors_of(storage)
    settings = {"decays": list(DECAYS), "windows": list(WINDOWS)}
    return LinearScorer(Part(kind="linear", settings=settings, tensors=tensors | more), context()), full


def slow_scores(full: np.ndarray, history: list[int], weights: list[float] | None = None) -> np.ndarray:
    """The formula, event by event."""
    pairs = [(i, 1.0 if weights is None else weights[e]) for e, i in enumerate(history) if 0 <= i < N]
    scores = np.zeros(N)
    for back, (item, weight) in enumerate(reversed(pairs)):
        for s, (decay, window) in enumerate(zip(DECAYS, WINDOWS, strict=True)):
            if not window or back < window:
                scores += weight * decay**back * full[s * N + item]
    return scores


STORAGES = ["dense", "bf16", "sparse", "low rank + sparse"]


@pytest.mark.parametrize("storage", STORAGES)
def test_scores_are_the_stated_sum(storage: str) -> None:
    scorer, full = scorer_of(storage, bias=np.arange(N, dtype=np.float32))
    scores = scorer.score(newcomers(histories_of(LISTS)))
    assert scores.dtype == np.float32
    wanted = np.stack([slow_scores(full, row) for row in LISTS]) + np.arange(N)
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
def test_company_and_order_of_askers_change_nothing(storage: str) -> None:
    scorer, _ = scorer_of(storage)
    askers = newcomers(histories_of(LISTS))
    together = scorer.score(askers)
    turned = scorer.score(askers.take(np.array([3, 2, 1, 0])))[::-1]
    alone = np.concatenate([scorer.score(askers.take(np.array([r]))) for r in range(4)])
    np.testing.assert_allclose(together, turned, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    if "low rank" not in storage:
        assert (together == turned).all()
        assert (together == alone).all()


@pytest.mark.parametrize("storage", STORAGES)
def test_contributions_sum_to_the_score(storage: str) -> None:
    scorer, _ = scorer_of(storage)
    for row in LISTS:
        codes = np.array(row, dtype=np.int32)
        weights = np.linspace(0.5, 2.0, len(row), dtype=np.float32)
        asker = newcomers(replace(histories_of([row]), weights=weights))
        scores = scorer.score(asker)[0]
        for item in range(N):
            parts = scorer.contributions(asker, item)
            assert parts.shape == codes.shape
            assert parts[(codes < 0) | (codes >= N)].sum() == 0
            assert parts.sum() == pytest.approx(scores[item], abs=1e-5)


def test_weights_of_events_scale_what_they_add() -> None:
    scorer, full = scorer_of("dense")
    plain = histories_of(LISTS[:1])
    weights = np.array([2, 0, 1, 0.5, 3], np.float32)
    weighted = Histories(items=plain.items, offsets=plain.offsets, weights=weights)
    scores = scorer.score(newcomers(weighted))[0]
    np.testing.assert_allclose(scores, slow_scores(full, LISTS[0], list(weights)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("storage", ["dense", "bf16", "sparse", "low rank", "some dense rows"])
def test_personal_needs_a_counting_event_of_an_item_that_has_weights(storage: str) -> None:
    full = matrix()
    full[[4, N + 4, N + 6]] = 0.0
    tensors = {
        "dense": {"weights": full},
        "bf16": {"weights": bf16(full)},
        "sparse": csr(full),
        "low rank": {"left": full, "right": np.eye(N, dtype=np.float32)},
        "some dense rows": {"weights": full[:5], "rows": np.arange(5, dtype=np.int32), **csr(full * LATER)},
    }[storage]
    settings = {"decays": list(DECAYS), "windows": [3, 3]}
    scorer = LinearScorer(Part(kind="linear", settings=settings, tensors=tensors), context())
    lists = [*LISTS, [-1, 50], [0, 4, 4, 4], [0, 4, 4], [6, 4, 4]]
    askers = newcomers(histories_of(lists))
    personal = scorer.personal(askers)
    assert personal.tolist() == [True, False, True, False, False, False, True, True]
    assert (np.abs(scorer.score(askers)).sum(axis=1) > 0).tolist() == personal.tolist()


def test_similar_is_the_score_of_a_history_of_one() -> None:
    scorer, full = scorer_of("dense", bias=np.ones(N, np.float32))
    np.testing.assert_allclose(scorer.similar(np.array([2, 5], np.int32)), full[[2, 5]] + full[[9, 12]])


def test_bf16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, -2.5, 0.0, 3e-39], np.float32)
    back = (bf16(values).astype(np.uint32) << 16).view(np.float32)
    assert back[:5].tolist() == [1.0, 1.0, 1.015625, -2.5, 0.0]
    noise = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    error = np.abs((bf16(noise).astype(np.uint32) << 16).view(np.float32) - noise)
    assert (error <= np.abs(noise) * 2**-8).all()


def test_windows_end_where_an_event_counts_too_little() -> None:
    assert window_of(1.0, 0.01) == 0
    assert window_of(0.9, 0.0) == 0
    assert window_of(0.0, 0.01) == 1
    assert window_of(0.5, 0.25) == 2
    assert 0.8 ** window_of(0.8, 0.02) < 0.02 <= 0.8 ** (window_of(0.8, 0.02) - 1)


def test_query_rows_ignore_what_follows_an_unknown_item() -> None:
    told = decayed(histories_of([[1, -1, 2, 9]]), (0.5,), (0,), 4)
    untold = decayed(histories_of([[1, 2]]), (0.5,), (0,), 4)
    assert (told != untold).nnz == 0
    assert recency(histories_of([[1, 2]]), (0.5,), (1,)).tolist() == [[0.0], [1.0]]


def test_no_askers() -> None:
    scorer, _ = scorer_of("bf16")
    nobody = Askers(histories=histories_of([]), viewers=np.empty(0, np.int64))
    assert scorer.score(nobody).shape == (0, N)
