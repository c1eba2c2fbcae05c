from dataclasses import replace

import numpy as np
import pytest

from matinee.answers.factors import ridges, solve_rows
from matinee.answers.taste import taste_matrix
from matinee.answers.turned_down import noes_matrix, taught, turned
from matinee.core.types import Askers, histories_of
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import ragged, random_log
from matinee.testing.tastes import predictable_log


@pytest.mark.parametrize("width", [3, 8, 40])
def test_rows_are_solved_as_one_at_a_time(width: int) -> None:
    random = np.random.default_rng(0)
    log = random_log(3, n_viewers=60, n_items=50, longest=30)
    matrix = taste_matrix(log.histories, 50, decay=0.8)
    factors = random.standard_normal((50, width)).astype(np.float32)
    gram = 0.2 * factors.T @ factors
    row_ridges = ridges(matrix, 0.05, 0.2, 1.0)
    found = solve_rows(matrix, factors, gram, row_ridges)
    for row, weights in enumerate(matrix.toarray().astype(np.float64)):
        left = gram + (factors.T * weights) @ factors + row_ridges[row] * np.eye(width)
        np.testing.assert_allclose(found[row], np.linalg.solve(left, factors.T @ weights), atol=2e-3)


def test_every_epoch_lowers_the_loss() -> None:
    log = random_log(5, n_viewers=50, n_items=30)
    watched = taste_matrix(log.histories, 30)
    losses = []
    for epochs in (1, 2, 4, 8):
        recommender = make_recommender("ials", {"factors": 4, "epochs": epochs, "exponent": 1.0})
        items = recommender.fit(log).parts["ials"].tensors["items"]
        gram = 0.1 * items.T @ items
        viewers = solve_rows(watched, items, gram, ridges(watched, 0.01, 0.1, 1.0))
        dense, guess = watched.toarray(), viewers @ items.T
        pulls = ridges(watched, 0.01, 0.1, 1.0), ridges(watched.T.tocsr(), 0.01, 0.1, 1.0)
        loss = (dense * (1 - guess) ** 2).sum() + 0.1 * (guess**2).sum()
        losses.append(loss + pulls[0] @ (viewers**2).sum(axis=1) + pulls[1] @ (items**2).sum(axis=1))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("width", [3, 40])
def test_what_was_turned_down_is_a_zero_and_what_was_both_is_the_mean(width: int) -> None:
    random = np.random.default_rng(1)
    log = random_log(4, n_viewers=40, n_items=30)
    noes = noes_matrix(ragged([random.choice(30, 5, replace=False).tolist() for _ in range(40)]), 30)
    watched = taste_matrix(log.histories, 30, decay=0.7)
    matrix, targets = taught(watched, noes, 2.0)
    factors = random.standard_normal((30, width)).astype(np.float32)
    found = solve_rows(matrix, factors, factors.T @ factors, np.full(40, 0.5, np.float32), targets)
    for row, (ones, zeros) in enumerate(zip(watched.toarray(), 2.0 * noes.toarray(), strict=True)):
        left = factors.T @ factors + (factors.T * (ones + zeros)) @ factors + 0.5 * np.eye(width)
        np.testing.assert_allclose(found[row], np.linalg.solve(left, factors.T @ ones), atol=2e-3)
    across, turned_targets = turned(matrix, targets)
    np.testing.assert_allclose(across.toarray(), matrix.toarray().T)
    across.data, matrix.data = turned_targets, targets
    np.testing.assert_array_equal(across.toarray(), matrix.toarray().T)


@pytest.fixture(scope="module")
def befriended():
    log = predictable_log(120, order="none")
    return make_recommender("ials", {"factors": 8, "epochs": 3, "friends": 0.5}).fit(log)


def test_friends_are_told_alike_to_one_and_to_many(befriended):
    askers = befriended.askers_of(np.array([0, 7, -1, 30]))
    together = befriended.scorer.score(askers)
    for row in range(len(askers)):
        alone = befriended.scorer.score(askers.take(np.array([row])))
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


def test_events_are_left_out_and_friends_stay(befriended):
    asker = befriended.askers_of(np.array([7]))
    items, n = np.array([3, 40]), len(asker.histories.items)
    found = befriended.scorer.without_each(asker, items)
    shorter = replace(asker.histories, items=asker.histories.items[1:], offsets=np.array([0, n - 1]))
    expected = befriended.scorer.score(Askers(histories=replace(shorter, times=None), viewers=asker.viewers))
    np.testing.assert_allclose(found[:, 1], expected[0, items], atol=1e-5)


def test_what_events_and_friends_add_is_the_score(befriended):
    asker = befriended.askers_of(np.array([7]))
    stranger = Askers(histories=asker.histories, viewers=np.array([-1]))
    said = befriended.scorer.contributions_to(asker, np.arange(20)).sum(axis=1)
    assert not np.allclose(said, befriended.scorer.score(asker)[0, :20], atol=1e-4)
    said = befriended.scorer.contributions_to(stranger, np.arange(20)).sum(axis=1)
    np.testing.assert_allclose(said, befriended.scorer.score(stranger)[0, :20], atol=1e-4)


def test_who_has_friends_alone_is_answered_by_them_and_who_has_none_by_nothing(befriended):
    codes = np.array([7, 0])
    nothing = histories_of([[], []])
    assert befriended.scorer.personal(Askers(histories=nothing, viewers=codes)).all()
    assert not befriended.scorer.personal(Askers(histories=nothing, viewers=codes - 100)).any()


def test_friends_that_weigh_nothing_leave_no_trace():
    log = predictable_log(60)
    with_links, without = (
        make_recommender("ials", {"factors": 4, "epochs": 2}).fit(one)
        for one in (log, replace(log, friends=None))
    )
    assert set(with_links.parts["ials"].tensors) == {"items"}
    np.testing.assert_array_equal(
        with_links.parts["ials"].tensors["items"], without.parts["ials"].tensors["items"]
    )
