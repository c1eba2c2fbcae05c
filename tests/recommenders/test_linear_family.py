"""transitions, ease and item_knn: what each promises beyond the conformance suite."""

import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse

from matinee.answers.bf16 import float32_of
from matinee.answers.compact import compact, largest
from matinee.answers.context import context_of
from matinee.answers.linear import LinearScorer
from matinee.core import memory
from matinee.core.errors import SettingsError, TooLarge
from matinee.core.types import histories_of, newcomers
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary
from matinee.recommenders import make_recommender, ridge, transitions
from matinee.recommenders.update import new_events, update
from matinee.testing.made_logs import ragged

FAMILY = ["transitions", "ease", "item_knn"]


def log_of(lists: list[list[str]], items: list[str] | None = None, order: str = "order") -> InteractionLog:
    """A log from lists of item ids, one a viewer."""
    ids = items or sorted(set(itertools.chain(*lists)))
    code = {id_: c for c, id_ in enumerate(ids)}
    return InteractionLog(
        viewers=Vocabulary([f"v{r}" for r in range(len(lists))]),
        items=Vocabulary(ids),
        histories=histories_of([[code[i] for i in row] for row in lists]),
        item_table=pa.table({"id": ids}),
        order=order,
    )


def chains(predictable: bool, viewers: int = 300, n_items: int = 40, length: int = 12) -> list[list[str]]:
    """Histories in which item i is followed by i + 1 three times out of four, or by anything."""
    random = np.random.default_rng(8)
    lists = []
    for _ in range(viewers):
        row = [int(random.integers(n_items))]
        while len(row) < length:
            step = (row[-1] + 1) % n_items if predictable and random.random() < 0.75 else None
            row.append(int(random.integers(n_items)) if step is None else step)
        lists.append([f"i{i:02d}" for i in row])
    return lists


def hits_at_5(name: str, lists: list[list[str]], **settings: object) -> float:
    """How often the last event is among the first five, after fitting on all the others."""
    log = log_of([row[:-1] for row in lists], sorted(set(itertools.chain(*lists))))
    model = make_recommender(name, settings).fit(log)
    scores = model.scores(newcomers(log.histories))
    answers = log.items.codes([row[-1] for row in lists])
    above = (scores > scores[np.arange(len(lists)), answers][:, None]).sum(axis=1)
    return float((above < 5).mean())


@pytest.mark.parametrize("name", FAMILY)
def test_finds_what_follows_and_finds_nothing_in_noise(name: str) -> None:
    settings = {"ridge": 5.0} if name != "item_knn" else {}
    assert hits_at_5(name, chains(True), **settings) > 0.55
    assert hits_at_5(name, chains(False), **settings) < 0.22


@pytest.mark.parametrize("name", ["transitions", "ease"])
def test_local_way_on_all_features_is_the_dense_way(name: str) -> None:
    log = log_of(chains(False))  # where every pair of items meets
    dense = make_recommender(name, {"features": 0}).fit(log)
    local = make_recommender(name, {"features": 1000}).fit(log)
    askers = newcomers(log.histories)
    np.testing.assert_allclose(dense.scores(askers), local.scores(askers), atol=2e-4)


def test_ease_is_the_formula_of_the_paper() -> None:
    log = log_of(chains(True))
    part = make_recommender("ease", {"ridge": 20.0, "decay": 1.0, "features": 0}).fit(log).parts["ease"]
    X = np.zeros((len(log.histories), log.n_items))
    X[log.histories.rows(), log.histories.items] = 1.0
    P = np.linalg.inv(X.T @ X + 20.0 * np.eye(log.n_items))
    wanted = -P / P.diagonal()
    np.fill_diagonal(wanted, 0.0)
    np.testing.assert_allclose(part.tensors["weights"], wanted, atol=1e-4)


def test_ease_counts_near_pairs_more() -> None:
    log = log_of(chains(True, viewers=30))
    config = {"ridge": 20.0, "decay": 0.6, "threshold": 1e-9, "features": 0}
    part = make_recommender("ease", config).fit(log).parts["ease"]
    G = np.zeros((log.n_items, log.n_items))
    for viewer in range(30):
        row = log.histories.row(viewer)
        for (p, i), (q, j) in itertools.product(enumerate(row), repeat=2):
            G[i, j] += 0.6 ** abs(p - q)
    P = np.linalg.inv(G + 20.0 * np.eye(log.n_items))
    wanted = -P / P.diagonal()
    np.fill_diagonal(wanted, 0.0)
    np.testing.assert_allclose(part.tensors["weights"], wanted, atol=1e-5)


def test_item_knn_counts_as_its_docstring_says() -> None:
    log = log_of([["a", "b", "c"], ["b", "a"]])
    settings = {"decay": 0.5, "backward": 0.25, "shrink": 1.0, "popularity_from": 1.0, "popularity_to": 0.5}
    model = make_recommender("item_knn", settings).fit(log)
    found = model.scorer.similar(np.array([0], np.int32))[0]
    n = {"a": 2 + 1, "b": 2 + 1, "c": 1 + 1}
    assert found[1] == pytest.approx((1 + 0.25) / (n["a"] * n["b"] ** 0.5), rel=1e-5)
    assert found[2] == pytest.approx(0.5 / (n["a"] * n["c"] ** 0.5), rel=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_without_order_the_order_changes_nothing(name: str) -> None:
    lists = chains(True, viewers=60)
    turned = [row[::-1] for row in lists]
    forward = make_recommender(name).fit(log_of(lists, order="none"))
    backward = make_recommender(name).fit(log_of(turned, order="none"))
    askers, reversed_ = newcomers(forward.log.histories), newcomers(backward.log.histories)
    np.testing.assert_allclose(forward.scores(askers), backward.scores(reversed_), atol=1e-5)
    settings = forward.parts[name].settings
    assert settings["decays"] == [1.0]
    assert "no order" in settings["note"]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("lists", [[["a"]], [["a", "a", "a"]], [["a", "b"], []], [["a"], ["b"]]])
def test_tiny_logs_give_finite_scores(name: str, lists: list[list[str]]) -> None:
    log = log_of(lists)
    model = make_recommender(name).fit(log)
    scores = model.scores(newcomers(histories_of([[0], [], [-1, 99]])))
    assert scores.shape == (3, log.n_items)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", FAMILY)
def test_refuses_what_memory_does_not_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**20)
    with pytest.raises(TooLarge, match=r"needs \d+ MiB of memory"):
        make_recommender(name).fit(log_of(chains(True)))


@pytest.mark.parametrize("name", ["transitions", "ease"])
def test_takes_the_quicker_way(name: str) -> None:
    random = np.random.default_rng(4)
    wide = log_of([[f"i{i:04d}" for i in random.integers(0, 4000, 12)] for _ in range(600)])
    together = make_recommender(name, {"features": 0, "ridge": 0.01}).needs(wide)
    local = make_recommender(name, {"ridge": 0.01})
    assert together.memory_bytes > 4 * wide.n_items**2
    assert local.needs(wide).cpu_s < together.cpu_s
    assert "weights" not in local.fit(wide).parts[name].tensors
    # Against this ridge hardly any item weighs, so that a joint solution is small.
    alone = make_recommender(name, {"ridge": 3000.0})
    assert alone.needs(wide).cpu_s < local.needs(wide).cpu_s
    assert len(alone.fit(wide).parts[name].tensors["rows"]) < 50


@pytest.mark.parametrize("name", ["transitions", "ease"])
def test_items_that_hardly_weigh_are_solved_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ridge_ = 150.0 if name == "transitions" else 320.0
    log = log_of([row[: 4 + v % 9] for v, row in enumerate(chains(True, viewers=80))])
    whole = make_recommender(name, {"features": 0, "ridge": ridge_}).fit(log)
    monkeypatch.setattr(ridge, "_FEW", 0)
    model = make_recommender(name, {"features": 0, "ridge": ridge_}).fit(log)
    tensors = model.parts[name].tensors
    rates = 2 if name == "transitions" else 1
    assert 0 < len(tensors["rows"]) < rates * log.n_items
    askers = newcomers(log.histories)
    near, exact = model.scores(askers), whole.scores(askers)
    assert np.corrcoef(near.ravel(), exact.ravel())[0, 1] > 0.98
    assert np.abs(near - exact).max() > 0.0
    history = log.histories.items[:4]
    asker = newcomers(histories_of([list(history)]))
    score = model.scores(asker)[0]
    for item in (0, 17, 39):
        assert model.scorer.contributions(asker, item).sum() == pytest.approx(score[item], abs=1e-6)


def test_ease_of_a_lonely_item_is_its_own_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(chains(True))
    monkeypatch.setattr(ridge, "_FEW", 0)
    config = {"ridge": 1600.0, "decay": 1.0, "features": 0}
    tensors = make_recommender("ease", config).fit(log).parts["ease"].tensors
    X = np.zeros((len(log.histories), log.n_items))
    X[log.histories.rows(), log.histories.items] = 1.0
    G = X.T @ X
    joint = np.flatnonzero(G.diagonal() >= 0.05 * 1600)
    others = np.flatnonzero(G.diagonal() < 0.05 * 1600)
    assert tensors["rows"].tolist() == joint.tolist()
    assert len(others) > 0
    P = np.linalg.inv(G[np.ix_(joint, joint)] + 1600.0 * np.eye(len(joint)))
    wanted = -P / P.diagonal()
    np.fill_diagonal(wanted, 0.0)
    np.testing.assert_allclose(tensors["weights"][:, joint], wanted, atol=1e-5)
    np.testing.assert_allclose(tensors["weights"][:, others], P @ G[np.ix_(joint, others)], atol=1e-5)
    alone = G / (G.diagonal() + 1600.0)[:, None]
    np.fill_diagonal(alone, 0.0)
    alone[joint] = 0.0
    found = scipy.sparse.csr_matrix((tensors["data"], tensors["indices"], tensors["indptr"]), G.shape)
    np.testing.assert_allclose(found.toarray(), alone, atol=1e-6)


@pytest.mark.parametrize("keep", [None, 7])
def test_compact_of_joint_and_lonely_rows(keep: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of([row[: 4 + v % 9] for v, row in enumerate(chains(True, viewers=80))])
    monkeypatch.setattr(ridge, "_FEW", 0)
    model = make_recommender("transitions", {"features": 0, "ridge": 150.0}).fit(log)
    part = model.parts["transitions"]
    small = compact(part, keep=keep)
    assert all(
        small.tensors[name].dtype == np.uint16 for name in ("weights", "data") if name in small.tensors
    )
    every = np.zeros((80, 40), np.float32)
    every[part.tensors["rows"]] = part.tensors["weights"]
    every += scipy.sparse.csr_matrix(
        (part.tensors["data"], part.tensors["indices"], part.tensors["indptr"]), (80, 40)
    ).toarray()
    if keep is None:
        assert small.tensors["rows"].tolist() == part.tensors["rows"].tolist()
    else:
        assert "rows" not in small.tensors
        assert np.diff(small.tensors["indptr"]).max() == keep
        data = float32_of(small.tensors["data"])
        kept = scipy.sparse.csr_matrix((data, small.tensors["indices"], small.tensors["indptr"]), (80, 40))
        largest_sizes = np.sort(np.abs(every), axis=1)[:, -keep:]
        sizes = np.abs(kept.toarray()).sum(axis=1)
        np.testing.assert_allclose(sizes, largest_sizes.sum(axis=1), rtol=0.005)
        every = kept.toarray()
    items = np.arange(40, dtype=np.int32)
    found = LinearScorer(small, model.context).similar(items)
    np.testing.assert_allclose(found, every[:40] + every[40:], atol=0.005 * np.abs(every).max())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("transitions", {"decays": (0.5, 1.0)}),
        ("transitions", {"ridge": 0}),
        ("transitions", {"threshold": 1}),
        ("transitions", {"features": -1}),
        ("ease", {"query_decay": 0}),
        ("ease", {"ridge": -1}),
        ("item_knn", {"decay": 1.0}),
        ("item_knn", {"neighbours": 0}),
        ("item_knn", {"shrink": 0}),
        ("ease", {"threshold": 0}),
        ("ease", {"threshold": -0.1}),
        ("ease", {"features": -3}),
        ("ease", {"negative": -1}),
        ("item_knn", {"backward": -3}),
        ("item_knn", {"negative": -1}),
        ("transitions", {"negative": -1}),
        ("ease", {"rigde": 1}),
    ],
)
def test_settings_out_of_range_are_one_sentence(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        make_recommender(name, settings)


def test_transitions_are_the_regression_row_by_row() -> None:
    """Features, targets, weights, noes, damping and answers, each as the file's docstring says."""
    random, decays, n = np.random.default_rng(5), (0.5, 0.9), 12
    lists = [[f"i{i:02d}" for i in random.integers(0, n, random.integers(2, 9)) ** 2 // n] for _ in range(60)]
    log = log_of(lists, [f"i{i:02d}" for i in range(n)])
    weights = random.choice(np.array([0.5, 1.0, 2.0], np.float32), len(log))
    noes = [random.choice(n, 2, replace=False).tolist() for _ in lists]
    histories = dataclasses.replace(log.histories, weights=weights)
    log = dataclasses.replace(log, histories=histories, negatives=ragged(noes))
    G, T = np.zeros((2 * n, 2 * n)), np.zeros((2 * n, n))
    ends = []
    for viewer, row in enumerate(noes):
        state = np.zeros((2, n))
        for event in range(histories.offsets[viewer], histories.offsets[viewer + 1]):
            G += weights[event] * np.outer(state.ravel(), state.ravel())
            T[:, histories.items[event]] += weights[event] * state.ravel()
            state *= np.array(decays)[:, None]
            state[:, histories.items[event]] += weights[event]
        T[:, row] -= 0.25 * state.ravel()[:, None]
        ends.append(state.ravel())
    events = np.bincount(histories.items, minlength=n)
    damp = (events.mean() / np.maximum(events, 1)) ** 0.2
    wanted = np.array(ends) @ np.linalg.solve(G + 3.0 * np.eye(2 * n), T) * damp
    config = {"ridge": 3.0, "popularity": 0.2, "threshold": 1e-6, "features": 0, "negative": 0.25}
    model = make_recommender("transitions", config | {"decays": decays}).fit(log)
    assert model.parts["transitions"].settings["ridge_used"] == 3.0
    np.testing.assert_allclose(model.scorer.score(newcomers(histories)), wanted, atol=2e-5)


def test_update_notices_changed_weights() -> None:
    plain = log_of([["a", "b", "c"], ["b", "c"]])
    longer = log_of([["a", "b", "c", "a"], ["b", "c"]])
    old, new = (
        dataclasses.replace(
            log, histories=dataclasses.replace(log.histories, weights=np.full(len(log), weight, np.float32))
        )
        for log, weight in ((plain, 1.0), (longer, 2.0))
    )
    assert new_events(old, new) is None
    assert new_events(plain, new) is None
    assert new_events(plain, longer) is not None
    again, wanted = update(make_recommender("transitions").fit(old), new), make_recommender("transitions")
    askers = newcomers(new.histories)
    np.testing.assert_array_equal(again.scores(askers), wanted.fit(new).scores(askers))


def test_update_is_the_fit_on_everything() -> None:
    lists = chains(True, viewers=80)
    old_lists = [row[: 12 - (v % 4) * 2] for v, row in enumerate(lists[:70])] + [[], []]
    new_lists = [*lists[:70], ["i03", "zz", "i04"], [], ["i01", "zz", "i02"]]
    old, new = log_of(old_lists), log_of(new_lists, ["zz", *sorted(set(itertools.chain(*lists)))])
    for features in (0, 30):
        recommender = make_recommender("transitions", {"features": features, "ridge": 5.0})
        whole, grown = recommender.fit(new), update(recommender.fit(old), new)
        askers = newcomers(new.histories)
        np.testing.assert_allclose(whole.scores(askers), grown.scores(askers), atol=1e-4)
        for key, wanted in whole.parts["transitions"].sums.items():
            if key == "same":
                np.testing.assert_allclose(grown.parts["transitions"].sums[key], wanted, atol=1e-4)
    assert new_events(old, new).sum() == len(new) - len(old)


def test_sums_over_the_limit_are_not_kept_and_the_update_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = chains(True, viewers=80)
    old, new = log_of([row[:9] for row in lists]), log_of(lists)
    recommender = make_recommender("transitions")
    kept = recommender.fit(old)
    assert "update" not in update(kept, new).facts
    monkeypatch.setattr(transitions, "_SUMS_BYTES", 100)
    model = recommender.fit(old)
    assert not model.parts["transitions"].sums
    again = update(model, new)
    assert again.facts["update"] == (
        "fitted anew: its sums were not kept: over 512 MiB, so an update fits anew"
    )
    askers = newcomers(new.histories)
    np.testing.assert_allclose(again.scores(askers), update(kept, new).scores(askers), atol=1e-4)


def test_kept_sums_are_small() -> None:
    log = log_of(chains(False))
    sums = make_recommender("transitions").fit(log).parts["transitions"].sums
    cells = log.n_items**2
    # Two bytes of place and three values a cell at most, for each of two rates.
    assert sum(array.nbytes for array in sums.values()) < 2 * cells * 14 + 5000


def test_update_takes_in_new_noes() -> None:
    lists = chains(True, viewers=40)
    random = np.random.default_rng(2)
    noes = [random.choice(41, 4, replace=False).tolist() for _ in lists]
    old = log_of([row[:9] for row in lists], [f"i{i:02d}" for i in range(41)])
    new = log_of(
        [row[: 12 if v % 2 else 9] for v, row in enumerate(lists)], ["zz", *old.items.ids(np.arange(41))]
    )
    old = dataclasses.replace(old, negatives=ragged([row[:2] for row in noes]))
    new = dataclasses.replace(new, negatives=ragged([[i + 1 for i in row] for row in noes]))
    recommender = make_recommender("transitions", {"ridge": 5.0, "negative": 0.5})
    whole, grown = recommender.fit(new), update(recommender.fit(old), new)
    assert "update" not in grown.facts
    askers = newcomers(new.histories)
    np.testing.assert_allclose(whole.scores(askers), grown.scores(askers), atol=1e-4)
    untaught = recommender.fit(dataclasses.replace(new, negatives=None))
    assert np.abs(untaught.scores(askers) - whole.scores(askers)).max() > 0.01


@pytest.mark.parametrize("few", [2000, 0])
def test_ease_with_noes_is_the_regression_without_self(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    lists = chains(True, viewers=80)
    log = log_of([row[: 4 + v % 9] for v, row in enumerate(lists)], [f"i{i:02d}" for i in range(40)])
    noes = [random.choice(40, 4, replace=False).tolist() for _ in lists]
    log = dataclasses.replace(log, negatives=ragged(noes))
    monkeypatch.setattr(ridge, "_FEW", few)
    ridge_ = 320.0 if few == 0 else 20.0
    config = {"ridge": ridge_, "decay": 1.0, "features": 0, "negative": 0.5}
    tensors = make_recommender("ease", config).fit(log).parts["ease"].tensors
    X, N = np.zeros((2, len(lists), 40))
    X[log.histories.rows(), log.histories.items] = 1.0
    for viewer, row in enumerate(noes):
        N[viewer, row] = 0.5
    joint = tensors["rows"] if few == 0 else np.arange(40)
    wanted = np.zeros((40, 40))
    for j in range(40):
        among = joint[joint != j]
        gram = X[:, among].T @ X[:, among] + ridge_ * np.eye(len(among))
        wanted[among, j] = np.linalg.solve(gram, X[:, among].T @ (X - N)[:, j])
    for i in np.setdiff1d(np.arange(40), joint):
        wanted[i] = X[:, i] @ (X - N) / (X[:, i].sum() + ridge_)
        wanted[i, i] = 0.0
    assert few or 0 < len(joint) < 40
    found = LinearScorer(make_recommender("ease", config).fit(log).parts["ease"], context_of(log)).similar(
        np.arange(40, dtype=np.int32)
    )
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("name", ["transitions", "ease"])
def test_the_local_way_is_taught_by_noes_too(name: str) -> None:
    log = dataclasses.replace(log_of(chains(False)), negatives=ragged([[v % 40] for v in range(300)]))
    dense = make_recommender(name, {"features": 0}).fit(log)
    local = make_recommender(name, {"features": 1000}).fit(log)
    askers = newcomers(log.histories)
    np.testing.assert_allclose(dense.scores(askers), local.scores(askers), atol=2e-4)


def test_item_knn_counts_noes_against_pairs() -> None:
    log = log_of([["a", "b", "c"], ["b", "a"]])
    log = dataclasses.replace(log, negatives=ragged([[], [2]]))
    settings = {"decay": 0.5, "backward": 0.25, "shrink": 1.0, "popularity_from": 1.0, "popularity_to": 0.5}
    model = make_recommender("item_knn", settings | {"negative": 0.4}).fit(log)
    found = model.scorer.similar(np.array([0, 1], np.int32))[:, 2]
    np.testing.assert_allclose(found, np.array([0.5 - 0.4, 1 - 0.4 * 0.5]) / (3 * 2**0.5), rtol=1e-5)


def test_update_starts_again_where_the_past_changed() -> None:
    old = log_of([["a", "b", "c"], ["b", "c"]])
    changed = log_of([["a", "c", "b", "a"], ["b", "c"]])
    assert new_events(old, changed) is None
    assert new_events(old, log_of([["a", "b", "c"]])) is None
    again = update(make_recommender("transitions").fit(old), changed)
    wanted = make_recommender("transitions").fit(changed)
    assert again.facts["update"] == "fitted anew: the past of the log has changed"
    np.testing.assert_array_equal(
        again.scores(newcomers(changed.histories)), wanted.scores(newcomers(changed.histories))
    )


@pytest.mark.parametrize("name", FAMILY)
def test_compact_weights_answer_nearly_the_same(name: str) -> None:
    log = log_of(chains(True))
    model = make_recommender(name, {} if name == "item_knn" else {"features": 0}).fit(log)
    askers = newcomers(log.histories)
    exact = model.scorer.score(askers)
    small = compact(model.parts[name])
    assert sum(t.nbytes for t in small.tensors.values()) <= 0.9 * sum(
        t.nbytes for t in model.parts[name].tensors.values()
    )
    rounded = LinearScorer(small, model.context).score(askers)
    assert np.abs(rounded - exact).max() < 0.01 * np.abs(exact).max()


def test_compact_keeps_the_largest_weights_within_the_limit() -> None:
    log = log_of(chains(True))
    part = make_recommender("transitions", {"features": 0}).fit(log).parts["transitions"]
    small = compact(part, limit_bytes=4000)
    assert sum(t.nbytes for t in small.tensors.values()) <= 4000
    assert small.settings["kept"] == (4000 - 8 * 80) // (4 * 80)
    counts = np.diff(small.tensors["indptr"])
    assert counts.max() == small.settings["kept"]
    again = compact(small, keep=3)
    assert np.diff(again.tensors["indptr"]).max() == 3
    best = np.sort(np.argsort(-np.abs(part.tensors["weights"][5]))[:3])
    np.testing.assert_array_equal(np.sort(again.tensors["indices"][15:18]), best)
    other = dataclasses.replace(part, kind="other")
    assert compact(other) is other


def test_largest_entries_of_rows_by_size() -> None:
    import scipy.sparse

    matrix = scipy.sparse.csr_matrix(np.array([[1.0, -3, 2], [0, 0, 5], [0, 0, 0]], np.float32))
    assert largest(matrix, 2).toarray().tolist() == [[0, -3, 2], [0, 0, 5], [0, 0, 0]]
