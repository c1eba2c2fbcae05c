"""What a log says beside items reaches the network, teaches it, and tells nothing of the future."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.test_negatives import dated

from matinee.answers.model import load
from matinee.core.errors import SettingsError
from matinee.core.types import histories_of, newcomers
from matinee.data.split import split_log
from matinee.recipes.handover import open_handover, write_handover
from matinee.recipes.recommend import recommend_one
from matinee.recommenders import make_recommender
from matinee.recommenders.held_out import hold_out, without
from matinee.recommenders.network_context import has_kinds, has_regions, has_values, noes_before, value_edges
from matinee.recommenders.network_settings import SequentialConfig, resolved
from matinee.testing.made_logs import log_of, ragged, random_log
from matinee.testing.tastes import disliked_log, predictable_log

SMALL = {"width": 16, "layers": 1, "passes": 6, "batch_events": 256, "rate": 0.01, "longest": 20}
SURE = {**SMALL, "layers": 2, "passes": 15, "batch_events": 64, "patience": 0, "dropout": 0.0}
EVERY = {"kinds": True, "values": True, "gaps": True, "regions": True, "noes": 1.0}
DAY = 86_400_000


def fitted(log, **more):
    return make_recommender("sequential", {**SMALL, **more}).fit(log)


def assert_same_tensors(one, other):
    assert one.parts["sequential"].tensors.keys() == other.parts["sequential"].tensors.keys()
    for name, tensor in one.parts["sequential"].tensors.items():
        np.testing.assert_array_equal(other.parts["sequential"].tensors[name], tensor)


def test_where_a_log_says_no_more_every_switch_changes_nothing():
    log = replace(predictable_log(60), viewer_table=None)
    times = replace(log, histories=replace(log.histories, times=None), order="sequence")
    assert_same_tensors(fitted(times), fitted(times, **EVERY))


@pytest.mark.parametrize("sort", ["kinds", "values"])
def test_what_an_event_was_tells_what_follows(sort):
    """After item 1 comes 2 if it was bought (or rated 5), and 3 if it was only looked at (or rated 2)."""
    random = np.random.default_rng(0)
    bought = random.random(200) < 0.5
    log = log_of(
        [[*random.choice([4, 5, 6], 2).tolist(), 1, 2 if one else 3] for one in bought],
        n_items=7,
        order="sequence",
        kinds=("view", "buy"),
    )
    last = np.tile([False, False, True, False], 200)
    told = np.zeros(len(log), np.int8)
    told[last] = bought
    values = np.where(told, 5.0, 2.0).astype(np.float32)
    column = {"kinds": told} if sort == "kinds" else {"values": values}
    log = replace(log, histories=replace(log.histories, **column))

    def told_apart(switch):
        model = make_recommender("sequential", {**SURE, sort: switch}).fit(log)
        asked = log.histories.keep(np.tile([True, True, True, False], 200))
        scores = model.scores(newcomers(asked))
        return np.mean((scores[:, 2] > scores[:, 3]) == bought)

    assert told_apart(True) > 0.9
    assert told_apart(False) < 0.7


def test_the_pause_before_an_event_tells_what_follows():
    random = np.random.default_rng(0)
    pauses = random.random(200) < 0.5
    rows = [[*random.choice([4, 5, 6], 2).tolist(), 1, 2 if pause else 3] for pause in pauses]
    times = [[0, DAY, (31 if pause else 2) * DAY, (32 if pause else 3) * DAY] for pause in pauses]
    log = log_of(rows, times=times, n_items=7)

    def told_apart(gaps):
        model = make_recommender("sequential", {**SURE, "gaps": gaps}).fit(log)
        asked = log.histories.keep(np.tile([True, True, True, False], 200))
        scores = model.scores(newcomers(asked))
        return np.mean((scores[:, 2] > scores[:, 3]) == pauses)

    assert told_apart(True) > 0.9
    assert told_apart(False) < 0.7


@pytest.fixture(scope="module")
def regional():
    """Everybody watches two items of their region: 0 to 4 in the north, 5 to 9 in the south.

    Too few to hold any back, so that all passes are made.
    """
    random = np.random.default_rng(0)
    north = random.random(300) < 0.5
    rows = [random.permutation(5)[:2] + (0 if one else 5) for one in north]
    names = ["north" if one else "south" for one in north]
    names[0], names[1] = "nowhere", None
    ids = [f"v{code}" for code in range(300)]
    return log_of(
        [row.tolist() for row in rows],
        n_items=11,
        order="sequence",
        viewer_table=pa.table({"id": ids, "region": names}),
    )


def test_a_newcomer_gets_what_is_liked_in_the_region(regional, tmp_path):
    model = make_recommender("sequential", {**SURE, "passes": 30, "regions": True}).fit(regional)
    model.save(tmp_path / "bundle")
    for one in (model, load(tmp_path / "bundle")):
        nobody = newcomers(histories_of([[]]))
        for region, items in (("north", range(5)), ("south", range(5, 10))):
            found = one.scores(nobody.at(region))[0]
            others = [item for item in range(10) if item not in items]
            assert found[list(items)].mean() > found[others].mean() + 0.2
        np.testing.assert_array_equal(one.scores(nobody)[0], one.context.popularity)
        np.testing.assert_array_equal(one.scores(nobody.at("nowhere"))[0], one.context.popularity)
    assert model.parts["sequential"].settings["region_names"] == ["north", "south"]


def test_the_command_that_asks_for_one_list_takes_region_and_values(regional):
    from matinee.answers.rules import Rules

    values = np.tile([1.0, 5.0], 300).astype(np.float32)
    log = replace(regional, histories=replace(regional.histories, values=values))
    model = fitted(log, regions=True, values=True)
    history = ["i1", "i7"]
    plain = recommend_one(model, history=history)
    there = recommend_one(model, history=history, rules=Rules(region="south"))
    rated = recommend_one(model, history=history, values=[5.0, 1.0])
    scores = [{one["item"]: one["score"] for one in found["items"]} for found in (plain, there, rated)]
    assert max(abs(scores[0][item] - scores[1][item]) for item in scores[0]) > 1e-3
    assert max(abs(scores[0][item] - scores[2][item]) for item in scores[0]) > 1e-4
    with pytest.raises(Exception, match="takes no values"):
        recommend_one(fitted(log), history=history, values=[5.0, 1.0])


def test_what_the_like_minded_turned_down_sinks():
    log = disliked_log(item=5)
    told, untold = fitted(log, noes=3.0), fitted(log)
    alike = newcomers(histories_of([[2, 3, 4], [3, 4], [7, 4], [3, 6]]))
    # In standard deviations of an asker's scores.
    found = [
        ((s[:, 5] - s.mean(axis=1)) / s.std(axis=1))
        for s in (model.scores(alike) for model in (untold, told))
    ]
    assert (found[0] - found[1] > 0.1).all(), found
    assert_same_tensors(fitted(replace(log, negatives=None), noes=1.0), untold)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_no_of_the_future_teaches(seed):
    log = dated(random_log(seed, n_items=60), seed)
    held = hold_out(log, seed)
    noes, taught = noes_before(log, held), without(log, held).histories
    assert len(noes.starts) == len(taught.items) + 1
    held_at = dict(zip(held.askers.viewers.tolist(), log.histories.times[~held.taught].tolist(), strict=True))
    found = []
    for event in range(len(taught.items)):
        viewer = int(np.searchsorted(taught.offsets, event, side="right")) - 1
        found += [
            (viewer, int(item), event) for item in noes.items[noes.starts[event] : noes.starts[event + 1]]
        ]
    expected = []
    for viewer in range(log.n_viewers):
        part = slice(log.negatives.offsets[viewer], log.negatives.offsets[viewer + 1])
        for item, moment in zip(log.negatives.values[part], log.negative_times[part], strict=True):
            before = [
                event
                for event in range(taught.offsets[viewer], taught.offsets[viewer + 1])
                if taught.times[event] < moment
            ]
            if before and moment < held_at.get(viewer, np.inf):
                expected.append((viewer, int(item), before[-1]))
    assert sorted(found) == sorted(expected)


def test_undated_noes_stand_at_the_end_without_what_was_chosen_after_all():
    log = log_of([[0, 1, 2]] * 30, n_items=5, order="sequence", negatives=ragged([[2, 3]] * 30))
    held = hold_out(log, 0)
    noes, taught = noes_before(log, held), without(log, held).histories
    for viewer in range(30):
        end = taught.offsets[viewer + 1] - 1
        own = noes.items[noes.starts[taught.offsets[viewer]] : noes.starts[end + 1]].tolist()
        assert sorted(own) == ([3] if viewer in held.askers.viewers else [2, 3])
        assert noes.starts[end] == noes.starts[taught.offsets[viewer]]


@pytest.mark.parametrize("protocol", ["time-split", "leave-one-out"])
def test_a_split_keeps_the_dates_of_its_noes(protocol, tmp_path):
    log = dated(random_log(3, n_items=60), 3)
    split = split_log(log, protocol)
    write_handover(tmp_path, split, both=True)
    for name in ("train", "train_and_validation"):
        part, read = getattr(split, name), open_handover(tmp_path).log(name)
        np.testing.assert_array_equal(read.negative_times, part.negative_times)
        assert len(part.negative_times) == len(part.negatives.values)
        for viewer in range(log.n_viewers):
            own = slice(part.negatives.offsets[viewer], part.negatives.offsets[viewer + 1])
            whole = slice(log.negatives.offsets[viewer], log.negatives.offsets[viewer + 1])
            for item, moment in zip(part.negatives.values[own], part.negative_times[own], strict=True):
                same = log.negatives.values[whole] == item
                assert moment == log.negative_times[whole][same].min()


def test_values_are_told_apart_in_few_steps():
    def edges(values):
        told = histories_of([[0] * len(values)])
        return value_edges(replace(told, values=np.array(values, np.float32)))

    assert edges([1, 2, 5, np.nan, 2]).tolist() == [1.5, 3.5]
    many = edges(np.linspace(0, 1, 1000))
    assert len(many) == 7
    shares = np.bincount(np.searchsorted(many, np.linspace(0, 1, 1000), side="right")) / 1000
    assert abs(shares - 1 / 8).max() < 0.01
    # Most of them alike: no two edges are.
    assert len(edges([0.0] * 900 + list(range(1, 101)))) <= 7


def test_what_a_log_has_to_tell():
    log = random_log(0)
    n = len(log)
    one, two = np.zeros(n, np.int8), np.arange(n, dtype=np.int8) % 2

    def having(**columns):
        return replace(log, histories=replace(log.histories, **columns))

    assert [has_kinds(having(kinds=kinds)) for kinds in (None, one, two)] == [False, False, True]
    empty = np.full(n, np.nan, np.float32)
    values = (None, empty, one.astype(np.float32), two.astype(np.float32))
    assert [has_values(having(values=each)) for each in values] == [False, False, False, True]
    names = [["north"] * 40, ["north"] * 20 + ["south"] * 20, ["north"] * 39 + ["south"]]
    tables = [pa.table({"id": log.viewers.arrow, "region": each}) for each in names]
    assert [has_regions(replace(log, viewer_table=table)) for table in (None, *tables)] == [
        False,
        False,
        True,
        False,
    ]
    told = resolved(SequentialConfig(**EVERY), log)
    assert (told.kinds, told.values, told.gaps, told.regions, told.noes, told.opening) == (
        False,
        False,
        True,
        False,
        0.0,
        False,
    )
    assert resolved(SequentialConfig(regions=True), replace(log, viewer_table=tables[1])).opening


def test_less_than_no_weight_is_refused():
    with pytest.raises(SettingsError, match="noes"):
        make_recommender("sequential", {"noes": -1.0})


def test_processes_of_which_one_has_noes_draw_the_same():
    """Of a large catalogue the noes are told from drawn items, and whoever has none draws them too."""
    import torch

    from matinee.core.processes import Processes
    from matinee.networks.sequential import SequentialNetwork
    from matinee.recommenders.network_loss import batch_loss
    from matinee.recommenders.network_settings import SequentialConfig
    from matinee.train.beside import Beside, Noes
    from matinee.train.sequences import Reading, next_events

    histories = histories_of([[1, 2, 3], [4, 5, 6]])
    noes = Noes(items=np.array([9], dtype=np.int32), starts=np.array([0, 0, 1, 1, 1, 1, 1]))
    config = SequentialConfig(noes=0.5, batch_events=64, negatives=0)
    network = SequentialNetwork(2100, width=4, layers=0).eval()
    loss_of, drawn, losses = batch_loss(config, 2100, None, by_rows=False), [], []
    for processes in ({"rank": 0, "size": 1}, {"rank": 0, "size": 2}, {"rank": 1, "size": 2}):
        of = Processes(local_size=processes["size"], **processes)
        reading = Reading(longest=8, batch_events=64, beside=Beside(noes=noes), processes=of)
        (batch,) = next_events(histories, reading, 0)(0)
        torch.manual_seed(0)
        losses.append(
            loss_of(network, batch)[0].item() * (1.0 if batch.share is None else batch.share.weight)
        )
        drawn.append(torch.get_rng_state())
    assert all(torch.equal(state, drawn[0]) for state in drawn)
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-5)
