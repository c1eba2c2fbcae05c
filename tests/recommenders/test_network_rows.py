"""A large catalogue is learnt from the few items that a step is about: the same loss, and rows alone move."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.core.run import Run
from matinee.recommenders import make_recommender, network_settings
from matinee.recommenders.held_out import hold_out
from matinee.recommenders.network_content import known_of
from matinee.recommenders.network_settings import SequentialConfig, learnt_by_rows, resolved
from matinee.testing.tastes import predictable_log

torch = pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

from matinee.recommenders import network_fit, network_loss  # noqa: E402 - only where torch is
from matinee.train.device import find_place  # noqa: E402
from matinee.train.sequences import Reading, next_events  # noqa: E402

SMALL = {"width": 16, "layers": 1, "passes": 5, "batch_events": 256, "longest": 20, "patience": 0}
DRAWN = {**SMALL, "negatives": 24, "dropout": 0.0, "item_dropout": 0.0, "rate": 0.02}


@pytest.fixture(scope="module")
def log():
    return predictable_log(300)


@pytest.fixture(scope="module")
def titled(log):
    titles = [f"Word {code % 6}" for code in range(log.n_items)]
    return replace(log, item_table=pa.table({"id": log.items.arrow, "title": titles}))


@pytest.fixture
def _large(monkeypatch):
    """Every catalogue is a large one."""
    monkeypatch.setattr(network_settings, "_WHOLE_CATALOGUE", 10)


def loss_and_gradients(log, content):
    """Of one batch, by the network as it answers."""
    settings = {**DRAWN, "content": content, "id_dropout": 0.0}
    config = resolved(make_recommender("sequential", settings).config, log)
    known, place = known_of(log, content), find_place("cpu", "float32")
    batch = next(iter(next_events(log.histories, Reading(longest=20, batch_events=256), 0)(0)))
    network = network_fit.content_network(config, log, known, seed=0, place=place).eval()
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.normal_(0.0, 0.3, generator=random)
    some = network_fit._taught_items(known, place)
    loss_of = network_loss.batch_loss(config, log.n_items, some, by_rows=True)
    torch.manual_seed(3)
    loss, predictions = loss_of(network, batch)
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return loss.item(), predictions, gradients


@pytest.mark.parametrize("content", [0.0, 1.5])
def test_loss_and_gradients_are_those_of_the_whole_table(titled, monkeypatch, content):
    found = []
    for by_rows in (False, True):
        monkeypatch.setattr(network_loss, "learnt_by_rows", lambda *_, by_rows=by_rows: by_rows)
        found.append(loss_and_gradients(titled, content))
    whole, rows = found
    assert rows[0] == pytest.approx(whole[0], rel=1e-5)
    assert rows[1] == whole[1]
    assert rows[2]["items"].is_sparse
    assert not whole[2]["items"].is_sparse
    assert set(rows[2]) == set(whole[2])
    for name, gradient in whole[2].items():
        theirs = rows[2][name]
        dense = theirs.to_dense() if theirs.is_sparse else theirs
        torch.testing.assert_close(dense, gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.usefixtures("_large")
def test_it_learns_as_well_as_from_the_whole_table(log, monkeypatch):
    held = hold_out(log, 0)

    def fitted():
        model = make_recommender("sequential", DRAWN).fit(log, run=Run(device="cpu"))
        return held.ndcg(model.scorer.score, log.n_items)

    by_rows = fitted()
    monkeypatch.setattr(network_loss, "learnt_by_rows", lambda *_: False)
    whole = fitted()
    assert whole > 0.2
    assert by_rows > 0.9 * whole


@pytest.mark.usefixtures("_large")
def test_interrupted_and_gone_on_with_it_ends_with_the_same_weights(log, tmp_path):
    from matinee.core.errors import Stopped

    def fit(run):
        return make_recommender("sequential", {**DRAWN, "passes": 2}).fit(log, run=run).parts["sequential"]

    asked = iter(range(1_000))
    whole = fit(Run(device="cpu", checkpoints=tmp_path / "one"))
    with pytest.raises(Stopped):
        fit(Run(device="cpu", checkpoints=tmp_path / "two", should_stop=lambda: next(asked) > 11))
    gone_on = fit(Run(device="cpu", checkpoints=tmp_path / "two"))
    assert all(np.array_equal(whole.tensors[name], gone_on.tensors[name]) for name in whole.tensors)


def test_small_catalogues_and_whole_ones_are_moved_whole():
    assert not learnt_by_rows(SequentialConfig(negatives=100), 50_000)
    assert not learnt_by_rows(SequentialConfig(negatives=0), 60_000)
    assert learnt_by_rows(SequentialConfig(), 60_000)


@pytest.mark.usefixtures("_large")
def test_a_checkpoint_of_moments_by_row_is_not_gone_on_with_where_all_are_moved(log, tmp_path, monkeypatch):
    """Several processes move the whole table: of its rows' moments and averages they know nothing."""

    def fit(folder):
        run = Run(device="cpu", checkpoints=folder)
        return make_recommender("sequential", {**DRAWN, "passes": 1}).fit(log, run=run)

    fit(tmp_path)
    by_rows = {place.name for place in tmp_path.iterdir()}
    monkeypatch.setattr(network_fit, "learnt_by_rows", lambda *_: False)
    fit(tmp_path)
    assert len(by_rows) == 1
    assert len({place.name for place in tmp_path.iterdir()}) == 2
