import numpy as np
import pytest

from matinee.core.errors import MatineeError
from matinee.data.queries import Queries
from matinee.data.split import split_log
from matinee.evaluate.judge import Judgement, batches, judge, time_answers
from matinee.testing.made_logs import log_of, ragged, random_log


def fixed(scores):
    table = np.array(scores, dtype=np.float32)
    return lambda askers: np.repeat(table[None, :], len(askers), axis=0)


def by_hand(table: np.ndarray, queries: Queries, k: int) -> list[float]:
    """ndcg@k of single targets by sorting, for scores without ties."""
    found = []
    askers = queries.askers(np.arange(len(queries)))
    for q in range(len(queries)):
        seen = set(askers.histories.row(q).tolist())
        order = [i for i in np.argsort(-table[q]) if i not in seen][:k]
        target = int(queries.targets.row(q)[0])
        found.append(1 / np.log2(order.index(target) + 2) if target in order else 0.0)
    return found


def test_the_judge_agrees_with_sorting_by_hand(monkeypatch):
    monkeypatch.setattr("matinee.evaluate.judge._BATCH_BYTES", 2_000)  # several batches
    queries = split_log(random_log(3, n_viewers=60), targets="successive").test
    assert len(list(batches(queries))) > 3
    weights = np.random.default_rng(0).random((40 * 60, 30)).astype(np.float32)

    def scores(askers):
        # Depends on the asker alone, as every recommender's must.
        return weights[askers.viewers * 12 + askers.histories.lengths].copy()

    lengths = queries.lengths
    table = weights[queries.viewers * 12 + lengths]
    found = judge(scores, queries, at=(5, 10))
    assert found.metrics["ndcg@10"].tolist() == pytest.approx(by_hand(table, queries, 10))
    assert found.metrics["ndcg@5"].tolist() == pytest.approx(by_hand(table, queries, 5))


def test_history_is_left_out_unless_repeats_are_fair():
    rows = [[0, 1, 2]]
    scores = fixed([9, 8, 7, 1])
    left_out = judge(scores, split_log(log_of(rows, order="order", n_items=4), "leave-one-out").test)
    assert left_out.metrics["mrr@10"][0] == 1.0
    again = log_of(rows, order="order", n_items=4, repeats=True)
    assert judge(scores, split_log(again, "leave-one-out").test).metrics["mrr@10"][0] == pytest.approx(1 / 3)


def test_what_was_turned_down_is_never_recommended():
    log = log_of([[0, 1, 2], [0, 1, 2]], order="order", n_items=5, negatives=ragged([[3, 4], []]))
    found = judge(fixed([0, 0, 1, 2, 3]), split_log(log, "leave-one-out").test)
    assert found.metrics["mrr@10"].tolist() == pytest.approx([1, 1 / 3])


def test_several_targets_and_an_item_that_the_catalogue_lacks():
    log = log_of([[0, 1, 2]], n_items=6)
    split = split_log(log, test=log_of([[3, 4, 9]], n_items=10))
    found = judge(fixed([0, 0, 0, 5, 1, 3]), split.test, at=(2, 10))
    assert found.metrics["recall@2"][0] == pytest.approx(1 / 3)
    assert found.metrics["recall@10"][0] == pytest.approx(2 / 3)


def test_tied_answers_are_counted():
    queries = split_log(log_of([[0, 1, 2]] * 4, order="order", n_items=40), "leave-one-out").test
    assert judge(fixed(np.arange(40)), queries).tied == 0
    assert judge(fixed([1] * 40), queries).tied == 1
    beyond = np.arange(40, 0, -1).astype(float)
    beyond[20:] = 0  # ties, but far below the list
    assert judge(fixed(beyond), queries, at=(10,)).tied == 0
    beyond[11:14] = beyond[12]  # items 2 to 11 are shown; 11 ties with 12 and 13
    assert judge(fixed(beyond), queries, at=(10,)).tied == 1


def test_a_catalogue_shorter_than_the_list_is_no_trouble():
    queries = split_log(log_of([[0, 1, 2]], order="order", n_items=3), "leave-one-out").test
    found = judge(fixed([0, 0, 0]), queries, at=(10, 20), popularity=np.ones(3, np.float32))
    assert found.metrics["ndcg@10"].tolist() == [1.0]
    assert found.coverage["coverage@20"] == pytest.approx(1 / 3)


def test_sums_are_by_viewer_and_every_stranger_is_someone_else():
    log = log_of([[0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3]], times=[[0, 1, 2, 3, 4, 5, 6, 9], [0, 1, 2]])
    queries = split_log(log, targets="successive").test
    found = judge(fixed(np.arange(8)), queries)
    evidence = found.evidence()
    assert evidence.counts.sum() == len(queries)
    assert evidence.column("ndcg@10").sum() == pytest.approx(found.metrics["ndcg@10"].sum())
    assert evidence.mean("ndcg@10") == pytest.approx(found.mean("ndcg@10"))
    strangers = split_log(log_of([[0, 1, 2]], n_items=6), test=log_of([[0]] * 3 + [[1]], n_items=6))
    # v1, v2 and v3 are unknown to the log: three witnesses.
    assert len(judge(fixed(np.arange(6)), strangers.newcomers).evidence().counts) == 3


def judgement(viewers: np.ndarray, **metrics: list[float]) -> Judgement:
    return Judgement(
        metrics={name: np.array(values, np.float32) for name, values in metrics.items()},
        coverage={},
        tied=0.0,
        viewers=viewers.astype(np.int64),
        targets=np.ones(len(viewers), np.int64),
    )


def test_an_empty_list_has_no_novelty_and_moves_no_mean():
    nan = float("nan")
    found = judgement(np.array([0, 0, 1, 2]), novelty=[4.0, nan, 6.0, nan], hit=[1, 0, 0, 0], none=[nan] * 4)
    evidence = found.evidence()
    assert found.mean("novelty") == evidence.mean("novelty") == 5.0
    assert evidence.column("novelty").tolist() == [9.0, 6.0, 5.0]
    assert evidence.mean("hit") == 0.25
    assert np.isnan(evidence.mean("none"))
    assert np.isnan(found.mean("none"))


def test_a_great_many_viewers_are_joined_alike_for_every_recommender():
    random = np.random.default_rng(0)
    viewers = np.repeat(np.arange(45_000), 2)
    hits = random.random(90_000) < 0.3
    one, other = judgement(viewers, hit=hits).evidence(), judgement(viewers, hit=hits * 0.5).evidence()
    assert one.sums.shape == (20_000, 1)
    assert one.counts.sum() == 90_000
    assert one.mean("hit") == pytest.approx(hits.mean())
    assert (one.counts == other.counts).all()
    assert one.sums == pytest.approx(2 * other.sums)
    # Whole viewers are joined, two or three of them, each with two queries.
    assert set(one.counts.tolist()) == {4, 6}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_an_error(bad):
    queries = split_log(log_of([[0, 1, 2]], order="order", n_items=4), "leave-one-out").test
    with pytest.raises(MatineeError, match="not finite"):
        judge(fixed([0, 1, 2, bad]), queries)
    with pytest.raises(MatineeError, match="shape"):
        judge(fixed([0, 1]), queries)


def test_the_time_of_one_answer_is_measured():
    queries = split_log(log_of([[0, 1, 2]] * 5, order="order", n_items=40), "leave-one-out").test
    assert 0 < time_answers(fixed(np.arange(40)), queries) < 1000
    assert np.isnan(time_answers(fixed(np.arange(40)), queries.take(np.zeros(5, dtype=bool))))
