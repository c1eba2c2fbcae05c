"""Items that nobody watched are ranked by what they are, and nothing else changes."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.content import features_of, knows_content, vectors_of_items
from matinee.answers.model import load
from matinee.core.run import Run
from matinee.core.types import newcomers
from matinee.data.items import plain_items
from matinee.recommenders import make_recommender
from matinee.recommenders.network_content import known_of
from matinee.recommenders.network_settings import resolved
from matinee.testing.made_logs import log_of

torch = pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

from matinee.recommenders import network_fit  # noqa: E402 - only where torch is

SMALL = {"width": 16, "layers": 1, "passes": 6, "batch_events": 256, "longest": 20, "patience": 0}
TASTES, OF_EACH, COLD_OF_EACH = 5, 10, 3
N_ITEMS = TASTES * OF_EACH
TASTE_OF = np.arange(N_ITEMS) % TASTES
COLD = np.arange(N_ITEMS) >= N_ITEMS - TASTES * COLD_OF_EACH
WORDS = ("tram", "orchard", "comet", "waltz", "harbour")


def described(n=N_ITEMS):
    titles = [f"A {WORDS[TASTE_OF[code]]} for {code}" for code in range(n)]
    genres = [[f"Genre {TASTE_OF[code]}", "Any"] for code in range(n)]
    return pa.table({"id": [f"i{code}" for code in range(n)], "title": titles, "genres": genres})


def pictures(seed=0):
    """A vector an item: that of its taste, and noise."""
    random = np.random.default_rng(seed)
    middles = random.standard_normal((TASTES, 6))
    return (middles[TASTE_OF] + 0.3 * random.standard_normal((N_ITEMS, 6))).astype(np.float32)


def log_with(table=None, vectors=None, order="time"):
    """Viewers of one taste each, who never watched the last three items of any."""
    random = np.random.default_rng(0)
    warm = [np.flatnonzero((taste == TASTE_OF) & ~COLD) for taste in range(TASTES)]
    rows = [random.permutation(warm[viewer % TASTES])[:5].tolist() for viewer in range(200)]
    times = [list(range(len(row))) for row in rows] if order == "time" else None
    log = log_of(rows, times=times, n_items=N_ITEMS, order=order, vectors=vectors)
    return replace(log, item_table=plain_items(log.items) if table is None else table)


def fitted(log, **settings):
    return make_recommender("sequential", {**SMALL, **settings}).fit(log, run=Run(device="cpu"))


def told_apart(model, log):
    """How often a cold item of a viewer's taste stands before one of another taste."""
    scores = model.scores(newcomers(log.histories))[:, COLD]
    own = TASTE_OF[COLD][None, :] == (np.arange(len(log.histories)) % TASTES)[:, None]
    wins = [np.mean(row[mine][:, None] > row[~mine][None, :]) for row, mine in zip(scores, own, strict=True)]
    return float(np.mean(wins))


@pytest.fixture(scope="module")
def log():
    return log_with(described())


@pytest.fixture(scope="module")
def model(log):
    return fitted(log)


def test_items_nobody_watched_are_ranked_by_what_they_are(log, model):
    assert told_apart(model, log) > 0.9
    assert told_apart(fitted(log, content=0.0), log) < 0.7


@pytest.mark.parametrize(
    ("how", "settings"),
    [
        ({"vectors": pictures()}, {}),
        ({"table": described(), "order": "none"}, {"passes": 10}),
        ({"table": described()}, {"negatives": 16}),
        ({"table": described()}, {"id_dropout": 0.0}),
        ({"table": described(), "vectors": pictures()}, {}),
    ],
    ids=["vectors alone", "sets", "drawn items", "no id dropped", "words and vectors"],
)
def test_so_they_are_by_whatever_is_known(how, settings):
    log = log_with(**how)
    assert told_apart(fitted(log, **settings), log) > 0.85


def test_nobody_has_learnt_that_they_are_not_wanted(log, model):
    """An item that nobody watched has no vector of its own, only what its content says."""
    part = model.parts["sequential"]
    alone = vectors_of_items(part, log.item_table)
    np.testing.assert_allclose(part.tensors["items"][COLD], alone[COLD], atol=1e-6)
    assert np.abs(part.tensors["items"][~COLD] - alone[~COLD]).max() > 0.05


def test_an_item_that_comes_later_gets_the_vector_it_would_have_had(log, model):
    part = model.parts["sequential"]
    later = described().slice(N_ITEMS - 1).set_column(0, "id", pa.array(["brand new"]))
    np.testing.assert_allclose(vectors_of_items(part, later)[0], part.tensors["items"][-1], atol=1e-6)


def test_a_bundle_keeps_it_all(log, model, tmp_path):
    model.save(tmp_path / "bundle")
    found = load(tmp_path / "bundle")
    part, before = found.parts["sequential"], model.parts["sequential"]
    assert knows_content(part)
    assert features_of(part).names.arrow.to_pylist() == features_of(before).names.arrow.to_pylist()
    np.testing.assert_array_equal(
        vectors_of_items(part, log.item_table), vectors_of_items(before, log.item_table)
    )
    asked = newcomers(log.histories.take(np.arange(5)))
    np.testing.assert_array_equal(found.scores(asked), model.scores(asked))


@pytest.mark.parametrize("vectors", [None, pictures()], ids=["words", "and vectors"])
@pytest.mark.parametrize("bound", [0.3, 5.0])
def test_numpy_and_torch_make_the_same_vectors(vectors, bound):
    log = log_with(described(), vectors)
    config = resolved(make_recommender("sequential", {**SMALL, "content": bound}).config, log)
    known = known_of(log, bound)
    network = network_fit.content_network(config, log, known, seed=1).eval()
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.normal_(0.0, 1.0, generator=random)
        table = network.table().numpy()
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    np.testing.assert_allclose(known.folded(state)["items"], table, atol=1e-5)


def test_training_goes_without_some_ids_and_some_words(log):
    config = resolved(make_recommender("sequential", {**SMALL, "id_dropout": 0.5}).config, log)
    known = known_of(log, 3.0)
    network = network_fit.content_network(config, log, known, seed=0)
    with torch.no_grad():
        network.items.fill_(100.0)
        tables = [network.train().table().numpy() for _ in range(2)]
    dropped = [table.max(axis=1) < 50 for table in tables]
    assert all(0.2 < share.mean() < 0.8 for share in dropped)
    assert (dropped[0] != dropped[1]).any()


def test_what_items_start_from_is_what_they_would_without_content(log):
    known = known_of(log, 3.0)
    vectors = np.random.default_rng(0).standard_normal((N_ITEMS, 16)).astype(np.float32)
    state, own = known.start(vectors)
    whole = known.folded({**state, "items": own})["items"]
    np.testing.assert_allclose(whole[~COLD], vectors[~COLD], atol=1e-5)
    assert not own[COLD].any()
    assert whole[COLD].any(axis=1).all()


def test_where_everything_was_watched_or_nothing_is_known_nothing_changes(log):
    def same(one, other):
        return all(
            np.array_equal(one.parts["sequential"].tensors[name], tensor)
            for name, tensor in other.parts["sequential"].tensors.items()
        )

    plain = fitted(log_with())
    assert not knows_content(plain.parts["sequential"])
    assert same(plain, fitted(log, content=0.0))
    assert same(plain, fitted(log_with(), content=3.0))
    watched = log_of([[*row, *range(40, 50)] for row in [list(range(40))] * 30], order="sequence")
    watched = replace(watched, item_table=described())
    assert resolved(make_recommender("sequential").config, watched).content == 0.0
    assert resolved(make_recommender("sequential", {"content": 2.0}).config, watched).content == 2.0


def test_no_checkpoint_of_other_descriptions_is_gone_on_with(log, tmp_path):
    def weights(table, **how):
        settings = {**SMALL, "passes": 1}
        made = make_recommender("sequential", settings).fit(
            replace(log, item_table=table), run=Run(device="cpu", **how)
        )
        return made.parts["sequential"].tensors

    turned = described().set_column(2, "genres", pa.array([[f"Genre {code % 3}"] for code in range(N_ITEMS)]))
    weights(described(), checkpoints=tmp_path)
    found, fresh = weights(turned, checkpoints=tmp_path), weights(turned)
    assert all(np.array_equal(found[name], fresh[name]) for name in fresh)


def test_content_needs_memory_that_is_foretold(log):
    wide = pa.table({"id": log.items.arrow, "title": [f"{'word ' * 2000}{code}" for code in range(N_ITEMS)]})
    needs = [
        make_recommender("sequential", {"width": 64}).needs(replace(log, item_table=table)).memory_bytes
        for table in (plain_items(log.items), described(), wide)
    ]
    assert needs[0] < needs[1] < needs[2]


def test_a_network_that_knows_content_goes_on_from_what_it_knew():
    log = log_with(described())
    late = np.zeros(len(log), dtype=bool)
    late[log.histories.offsets[1:][::8] - 1] = True
    stale = fitted(log.keep(~late))
    # Two films more in the catalogue, that nobody watched: of the first taste and of the second.
    grown = replace(log, items=type(log.items)([*log.items.ids(range(N_ITEMS)), "new0", "new1"]))
    rows = [
        *described().to_pylist(),
        *({**row, "id": f"new{n}"} for n, row in enumerate(described(2).to_pylist())),
    ]
    grown = replace(grown, item_table=pa.Table.from_pylist(rows))
    warm = make_recommender("sequential", SMALL).update(stale, grown, run=Run(device="cpu"))
    assert knows_content(warm.parts["sequential"])
    scores = warm.scores(newcomers(log.histories))[:, :N_ITEMS]
    assert np.corrcoef(scores.ravel(), stale.scores(newcomers(log.histories)).ravel())[0, 1] > 0.95
    new = warm.parts["sequential"].tensors["items"][N_ITEMS:]
    near = new @ warm.parts["sequential"].tensors["items"][:N_ITEMS].T
    for taste in (0, 1):
        own, other = (near[taste, one == TASTE_OF].mean() for one in (taste, 1 - taste))
        assert own > other
