"""What benchmarks/join reckons: chunked losses beside a closed form, its scores along a window, the start."""

from pathlib import Path

import numpy as np
import pytest

from matinee.answers.context import context_of
from matinee.answers.scorers import make_scorer
from matinee.core.types import histories_of, newcomers
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.transitions import Transitions
from matinee.testing.made_logs import log_of, random_log

torch = pytest.importorskip("torch")

N_ITEMS = 30


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))


def walks(seed: int = 0, viewers: int = 80, events: int = 12):
    """Viewers who mostly go on to the next item."""
    random = np.random.default_rng(seed)
    steps = np.where(
        random.random((viewers, events)) < 0.8, 1, random.integers(2, N_ITEMS, (viewers, events))
    )
    rows = (random.integers(0, N_ITEMS, (viewers, 1)) + steps.cumsum(axis=1)) % N_ITEMS
    return log_of(rows.tolist(), n_items=N_ITEMS, order="order")


def form_of(seed: int = 0, floor: float = 0.05):
    from join.learnt import ClosedForm

    random = np.random.default_rng(seed)
    weights = torch.from_numpy(random.random((2, N_ITEMS, N_ITEMS)).astype(np.float32)) - 0.3
    return ClosedForm(decays=(0.5, 0.9), weights=weights, floor=floor)


def test_a_closed_form_says_along_a_window_what_its_scorer_says_of_each_history(monkeypatch):
    from join import learnt

    log = random_log(1, n_viewers=60, longest=9)
    part = Transitions(decays=(0.5, 0.9), ridge=1.0, threshold=1e-9).fit(log).parts["transitions"]
    scorer, form = make_scorer(part, context_of(log)), learnt.closed_form(part, log.n_items, 1e-4)
    windows = np.random.default_rng(2).integers(0, log.n_items, (3, 7))
    for cells in (1, 200, 2**19):
        monkeypatch.setattr(learnt, "_CELLS", cells)
        for stretch, scores in learnt.scores_along(form, torch.from_numpy(windows)):
            for event, rows in zip(range(stretch.start, stretch.stop), scores, strict=True):
                wanted = scorer.score(newcomers(histories_of(windows[:, : event + 1].tolist())))
                np.testing.assert_allclose(rows.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_chunked_loss_beside_a_closed_form_is_the_plain_one_and_so_is_its_gradient(share, monkeypatch):
    from join import learnt

    form, random = form_of(), torch.Generator().manual_seed(3)
    items = torch.randint(N_ITEMS, (4, 6), generator=random)
    targets = torch.randint(-1, N_ITEMS, (4, 6), generator=random)
    there = targets >= 0
    vectors = torch.randn(4, 6, 8, generator=random, requires_grad=True)
    table = torch.randn(N_ITEMS, 8, generator=random, requires_grad=True)
    theirs = torch.cat([scores.clone() for _, scores in learnt.scores_along(form, items)]).transpose(0, 1)
    theirs = theirs.clamp_min(form.floor)
    logits = vectors @ table.T + (theirs.log() if share == 0.0 else 0.0)
    wanted = torch.nn.functional.one_hot(targets.clamp_min(0), N_ITEMS).float() * (1.0 - share)
    wanted = wanted + share * theirs / theirs.sum(-1, keepdim=True)
    plain = -(wanted * logits.log_softmax(-1)).sum(-1)[there].mean()
    expected = torch.autograd.grad(plain, (vectors, table))
    for cells in (1, 300, 2**19):
        monkeypatch.setattr(learnt, "_CELLS", cells)
        loss = learnt.loss_beside(vectors, table, items, targets, form, share)
        torch.testing.assert_close(loss, plain)
        for found, right in zip(torch.autograd.grad(loss, (vectors, table)), expected, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-6)


def rounds(seed: int = 0, viewers: int = 40, events: int = 60):
    """Viewers who go from one sort of items to the next: sort s has the items s, s + 5, s + 10 and so on."""
    random = np.random.default_rng(seed)
    sorts = (random.integers(0, 5, (viewers, 1)) + np.arange(events)) % 5
    return log_of((sorts + 5 * random.integers(0, N_ITEMS // 5, sorts.shape)).tolist(), order="order")


def test_a_network_that_starts_as_the_closed_form_ranks_as_it_does():
    from join.learnt import closed_form, part_of
    from join.start import start_as
    from matinee.recommenders.network_fit import network_of

    log = rounds()
    config = SequentialConfig(width=24, decays=(0.6, 0.95))
    part = Transitions(decays=(0.6, 0.95), ridge=5.0).fit(log).parts["transitions"]
    network = network_of(config, log.n_items, ordered=True, seed=0)
    with torch.no_grad():
        start_as(closed_form(part, log.n_items, 2e-4), config, log, network)
    askers = newcomers(log.histories)
    found = make_scorer(part_of(config, log, network.state_dict()), context_of(log)).score(askers)
    wanted = make_scorer(part, context_of(log)).score(askers)
    alike = [np.corrcoef(ours, theirs)[0, 1] for ours, theirs in zip(found, wanted, strict=True)]
    assert np.mean(alike) > 0.75


@pytest.mark.parametrize("share", [None, 0.0, 0.4])
def test_a_network_learns_alone_and_beside_closed_forms(share):
    from join.learnt import Beside, closed_form, learn

    log = walks()
    folds = np.arange(len(log.histories)) % 2
    parts = [
        Transitions(decays=(0.5, 0.9), ridge=5.0).fit(log.keep(folds[log.histories.rows()] != fold))
        for fold in (0, 1)
    ]
    forms = [closed_form(model.parts["transitions"], log.n_items, 2e-3) for model in parts]
    beside = None if share is None else Beside(forms=forms, folds=folds, share=share)
    config = SequentialConfig(width=16, layers=1, longest=8, passes=30, batch_events=256, rate=0.01)
    part = learn(config, log, beside=beside)
    scores = make_scorer(part, context_of(log)).score(newcomers(log.histories))
    if share == 0.0:
        full = Transitions(decays=(0.5, 0.9), ridge=5.0).fit(log).scorer.score(newcomers(log.histories))
        scores = scores + np.log(np.maximum(full, 2e-3))
    following = (log.histories.items[log.histories.offsets[1:] - 1] + 1) % N_ITEMS
    assert (scores.argmax(axis=1) == following).mean() > 0.7


def test_settings_are_chosen_by_the_other_half_and_for_each_label():
    from join.choice import cross_fitted
    from join.ways import Way

    halves, labels = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1])
    gains = np.array([[1.0, 0.0, 0.5, 0.25], [0.0, 1.0, 0.75, 0.125]])
    way = Way(name="way", settings=[("a",), ("b",)], tables=lambda said: iter(()))
    found = cross_fitted(way, gains, halves)
    assert found.chosen == [[("a",)], [("b",)]]
    assert found.gains.tolist() == [0.0, 1.0, 0.5, 0.25]
    both = Way(name="way", settings=way.settings, tables=way.tables, labels=labels)
    found = cross_fitted(both, gains, halves)
    assert found.chosen == [[("a",), ("b",)], [("b",), ("a",)]]
    assert found.gains.tolist() == [0.0, 0.0, 0.5, 0.125]


def test_ways_join_as_their_formulas_say():
    from join.ways import Said, product_by_item, product_with, sum_of_chances, sum_of_ranks

    network = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    said = Said(network=network, partners={"p": np.array([[0.2, 0.0, 0.8]], np.float32)})
    found = list(product_with("p", "product", weights=(0.0, 2.0), floors=(0.1,)).tables(said))
    np.testing.assert_allclose(found[0], network)
    np.testing.assert_allclose(found[1], network + 2 * np.log([[2.0, 1.0, 8.0]]), rtol=1e-6)
    mixed = next(sum_of_chances("p", "mixture").tables(said))
    np.testing.assert_allclose(mixed, [[0.485, 0.285, 0.23]], rtol=1e-6)
    ranks = list(sum_of_ranks("p", "ranks", reciprocal=False).tables(said))[3]
    assert ranks.tolist() == [[-1.0, -3.0, -2.0]]
    by_item = product_by_item("p", "by item", np.array([0, 1, 2]))
    table = list(by_item.tables(said))[by_item.settings.index((1.5, 1.0, 2.0))]
    raised = np.log(np.maximum(said.partners["p"], 2e-4) / 2e-4)
    np.testing.assert_allclose(table, network + np.array([[1.5, 1.0, 2.0]]) * raised, rtol=1e-5)
