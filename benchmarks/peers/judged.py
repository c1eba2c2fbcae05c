"""What our evaluator finds in a peer's ranked lists, and in its network times our closed form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.statistics import bootstrap_means, interval_of
from matinee.core.types import Askers, Float32
from matinee.data.queries import Queries
from matinee.evaluate.judge import Judgement, judge
from matinee.recommenders.transitions import Transitions
from peers.exchange import LISTED, scores_of
from peers.handover import Handed

METRICS = ("ndcg@10", "hit@10")
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
# What the closed form's scores are raised to at least before their logarithm is taken.
_LEAST = 2e-4


def judge_lists(lists: NDArray[np.int32], queries: Queries) -> Judgement:
    """Judge ranked lists, row r that of query r: the first item scores most, what is not listed 0."""
    row_of = _rows(queries)

    def scores(askers: Askers) -> Float32:
        table = np.zeros((len(askers), queries.n_items), dtype=np.float32)
        places = np.arange(LISTED, 0, -1, dtype=np.float32)
        np.put_along_axis(table, lists[row_of[askers.viewers]], places[None, :], axis=1)
        return table

    return judge(scores, queries, at=(10,))


def judge_epoch(folder: Path, number: int, name: str, handed: Handed) -> dict[str, float]:
    """NDCG@10 and HR@10 after one epoch, of "valid" or "test"; found once, then kept beside the lists."""
    kept = folder / f"epoch-{number:03d}-{name}.json"
    if not kept.is_file():
        with np.load(folder / f"epoch-{number:03d}.npz", allow_pickle=False) as answers:
            judgement = judge_lists(answers[f"{name}_lists"], handed.queries[name])
        kept.write_text(json.dumps({metric: judgement.mean(metric) for metric in METRICS}), encoding="utf-8")
    found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def metrics(judgement: Judgement) -> dict[str, dict[str, float]]:
    """Means with 95 % intervals over viewers."""
    evidence = judgement.evidence()
    drawn = bootstrap_means(evidence.sums, evidence.counts)
    return {
        name: interval_of(judgement.mean(name), drawn[:, evidence.names.index(name)]).to_json()
        for name in METRICS
    }


def accuracy(folder: Path, number: int, handed: Handed) -> dict[str, dict[str, float]]:
    """Test metrics of one epoch's lists, with intervals."""
    with np.load(folder / f"epoch-{number:03d}.npz", allow_pickle=False) as answers:
        return metrics(judge_lists(answers["test_lists"], handed.queries["test"]))


def closed_form(handed: Handed) -> Callable[[Askers], Float32]:
    """Scores of `transitions` at its defaults, fitted on what the peers learn from."""
    return Transitions().fit(handed.train).scores


def product(folder: Path, number: int, handed: Handed, closed: Callable[[Askers], Float32]) -> dict[str, Any]:
    """The peer's network after an epoch times our closed form; found once, then kept beside the lists."""
    kept = folder / f"epoch-{number:03d}-product.json"
    if not kept.is_file():
        kept.write_text(json.dumps(_product(folder, number, handed, closed)), encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _product(
    folder: Path, number: int, handed: Handed, closed: Callable[[Askers], Float32]
) -> dict[str, Any]:
    with np.load(folder / f"epoch-{number:03d}.npz", allow_pickle=False) as answers:
        kept = {name: answers[name] for name in answers.files}

    def judged(name: str, weight: float) -> Judgement:
        row_of = _rows(handed.queries[name])

        def scores(askers: Askers) -> Float32:
            users = kept[f"{name}_users"][row_of[askers.viewers]]
            table = scores_of(users, kept["items"], kept["codes"], handed.train.n_items)
            return table - _log_sum(table) + np.float32(weight) * _log(closed(askers))

        return judge(scores, handed.queries[name], at=(10,))

    tried = {weight: judged("valid", weight).mean("ndcg@10") for weight in WEIGHTS}
    weight = max(tried, key=lambda one: tried[one])
    return {
        "epoch": number,
        # Chosen on validation, by people who ask without their validation event.
        "weight": weight,
        "validation": {str(one): round(value, 5) for one, value in tried.items()},
        "test": metrics(judged("test", weight)),
    }


def write_scores(folder: Path, number: int, handed: Handed, path: Path) -> None:
    """The full score matrix of the test's askers, float32, shape (askers, items), row r of query r."""
    with np.load(folder / f"epoch-{number:03d}.npz", allow_pickle=False) as answers:
        table = scores_of(answers["test_users"], answers["items"], answers["codes"], handed.train.n_items)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, scores=table, viewers=handed.queries["test"].viewers)


def _log_sum(table: Float32) -> Float32:
    highest = table.max(axis=1, keepdims=True)
    sums = np.log(np.exp(table - highest).sum(axis=1, keepdims=True))
    return np.asarray(highest + sums, dtype=np.float32)


def _log(scores: Float32) -> Float32:
    return np.asarray(np.log(np.maximum(scores, np.float32(_LEAST))), dtype=np.float32)


def _rows(queries: Queries) -> NDArray[np.int64]:
    """The query of each viewer; leave-one-out asks each at most once."""
    found = np.full(int(queries.viewers.max()) + 1, -1, dtype=np.int64)
    found[queries.viewers] = np.arange(len(queries))
    return found
