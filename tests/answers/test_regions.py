"""One bundle with models of several regions: who is answered by which, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.manifest import MANIFEST, write_manifest
from matinee.answers.model import Model, load
from matinee.answers.regions import REGIONS, join_regions
from matinee.answers.rules import Rules
from matinee.core.errors import BundleError, SettingsError
from matinee.data.homes import homes_of, only_of
from matinee.recommenders import make_recommender
from matinee.recommenders.popularity import Popularity
from matinee.testing.made_logs import random_log

N = 40
PLACES = ["north"] * 20 + ["south"] * 15 + ["east"] * 3 + [None, " "]


def the_log(column="region"):
    log = random_log(3, n_viewers=N)
    return replace(
        log, viewer_table=pa.table({"id": log.viewers.arrow, column: PLACES}), fingerprint="f" * 64
    )


def own_log(log, name, column="region"):
    homes = homes_of(log.viewer_table, column)
    return only_of(log, homes.codes == homes.names.index(name))


def model_by_region(name="transitions", column="region", regions=("north", "south")):
    log = the_log(column)
    maker = make_recommender(name, {})
    shared = maker.fit(log)
    # They answer whole histories, whatever they were fitted on.
    theirs = {one: replace(maker.fit(own_log(log, one, column)), log=log) for one in regions}
    own = {one: (model.parts, model.context.popularity) for one, model in theirs.items()}
    return replace(shared, parts=join_regions(name, shared.parts, own, column)), shared, theirs


def same(found: Model, told: Model, user: str, region=None):
    mine = found.recommend([user], k=8, rules=Rules(region=region, now=0))
    yours = told.recommend([user], k=8, rules=Rules(now=0))
    assert mine.items.tolist() == yours.items.tolist()
    np.testing.assert_allclose(mine.scores, yours.scores, rtol=2e-2, atol=1e-5)
    assert mine.sources == yours.sources


@pytest.mark.parametrize("name", ["transitions", "user_knn", "popularity", "item_knn"])
def test_each_viewer_is_answered_by_the_model_of_their_region(name):
    model, shared, own = model_by_region(name)
    for user, told in (("v3", own["north"]), ("v22", own["south"]), ("v36", shared), ("v38", shared)):
        same(model, told, user)
    assert model.name == name


def test_many_at_once_get_what_each_alone_gets():
    model, _, _ = model_by_region()
    users = ["v1", "v30", "v39", "stranger", "v2", "v37"]
    together = model.recommend(users, k=5)
    for row, user in enumerate(users):
        assert model.recommend([user], k=5).items[0].tolist() == together.items[row].tolist()
    assert model.recommend([], k=5).items.shape == (0, 5)


def test_a_request_that_says_where_it_comes_from_goes_before_the_table():
    model, shared, own = model_by_region()
    same(model, own["south"], "v3", region="south")
    same(model, own["south"], "v3", region=" south ")
    same(model, shared, "v3", region="east")
    same(model, shared, "v3", region="nowhere")
    found = model.recommend_history([["i1", "i2"]], k=6, rules=Rules(region="north"))
    assert found.items.tolist() == own["north"].recommend_history([["i1", "i2"]], k=6).items.tolist()
    assert (
        model.recommend_history([["i1"]]).items.tolist() == shared.recommend_history([["i1"]]).items.tolist()
    )


def test_a_newcomer_gets_what_is_popular_there():
    model, shared, own = model_by_region()
    for region, told in (("north", own["north"]), ("south", own["south"]), (None, shared)):
        found = model.recommend_history([[]], k=6, rules=Rules(region=region))
        assert found.sources == ["fallback:popular"]
        assert found.items.tolist() == told.recommend_history([[]], k=6).items.tolist()


def test_a_newcomer_gets_what_people_begin_with_there_where_the_models_know_that():
    model, shared, own = model_by_region()
    model = replace(
        model, parts={name: knows_beginnings(part, seed_of(name)) for name, part in model.parts.items()}
    )
    shared, own["north"] = (
        replace(one, parts={one.name: knows_beginnings(one.parts[one.name], seed)})
        for one, seed in ((shared, 0), (own["north"], 1))
    )
    for region, told in (("north", own["north"]), (None, shared), ("east", shared)):
        found = model.recommend_history([[]], k=6, rules=Rules(region=region))
        assert found.sources == ["fallback:popular"]
        assert found.items.tolist() == told.recommend_history([[]], k=6).items.tolist()
        assert found.items.tolist() != own["south"].recommend_history([[]], k=6).items.tolist()
    found = model.recommend_history([[]], k=6, rules=Rules(region="south"))
    assert found.items.tolist() == own["south"].recommend_history([[]], k=6).items.tolist()


def seed_of(name):
    """The seed of a part's scores for newcomers; None of one that has none."""
    return {"transitions": 0, "region1-transitions": 1}.get(name)


def knows_beginnings(part, seed):
    """A linear part with scores for those without a history; without a seed, as it was."""
    if seed is None:
        return part
    bias = np.random.default_rng(seed).normal(0.0, 1.0, the_log().n_items).astype(np.float32)
    return replace(part, settings={**part.settings, "begins": True}, tensors={**part.tensors, "bias": bias})


def test_reasons_and_likeness_are_those_of_the_region():
    model, shared, own = model_by_region()
    asker = model.askers(["v30"])
    items = [int(code) for code in model.recommend(["v30"], k=4).codes[0]]
    assert model.reasons_of(asker, items, personal=True) == own["south"].reasons_of(
        asker, items, personal=True
    )
    for region, told in (("south", own["south"]), (None, shared), ("east", shared)):
        like = model.similar(["i4"], k=5, rules=Rules(region=region))
        assert like.items.tolist() == told.similar(["i4"], k=5).items.tolist()


def test_another_column_is_known_of_viewers_alone():
    """What a request says of its region says nothing of a plan."""
    model, shared, own = model_by_region(column="plan")
    same(model, own["north"], "v3")
    same(model, own["north"], "v3", region="south")
    found = model.recommend_history([["i1", "i2"]], k=6, rules=Rules(region="north"))
    assert found.items.tolist() == shared.recommend_history([["i1", "i2"]], k=6).items.tolist()


def test_a_blend_keeps_the_parts_of_every_region_apart(tmp_path):
    log = the_log()
    maker = make_recommender("blend", {"sequential.passes": 1, "sequential.width": 8})
    shared, north = maker.fit(log), maker.fit(own_log(log, "north"))
    own = {"north": (north.parts, north.context.popularity)}
    model = replace(shared, parts=join_regions("blend", shared.parts, own, "region"))
    same(model, north, "v3")
    same(model, shared, "v25")
    model.save(tmp_path / "b")
    again = load(tmp_path / "b")
    assert {"blend", "sequential", "region1-blend", "region1-sequential", REGIONS} <= set(again.parts)
    same(again, north, "v3")


@pytest.mark.parametrize("name", ["transitions", "user_knn"])
def test_a_bundle_comes_back_as_it_was(tmp_path, name):
    model, shared, own = model_by_region(name)
    model.save(tmp_path / "b")
    again = load(tmp_path / "b")
    for user, told in (("v3", own["north"]), ("v22", own["south"]), ("v36", shared), ("nobody", shared)):
        same(again, told, user)
    same(again, own["south"], "v3", region="south")
    asked = json.loads((tmp_path / "b/golden.json").read_text())["queries"]
    assert [one.get("region") for one in asked] == [None] * 8 + ["north"] * 2 + ["south"] * 2
    assert not (tmp_path / "b/parts/region1-transitions/sums.safetensors").exists()


def test_a_bundle_without_histories_goes_by_what_requests_say(tmp_path):
    model, shared, own = model_by_region()
    model.save(tmp_path / "b", histories=False)
    again = load(tmp_path / "b")
    for region, told in (("south", own["south"]), (None, shared)):
        found = again.recommend_history([["i1", "i2"]], k=6, rules=Rules(region=region))
        assert found.items.tolist() == told.recommend_history([["i1", "i2"]], k=6).items.tolist()


def test_a_region_without_its_viewers_histories_is_not_answered_from_others(tmp_path):
    """Deleted viewers of a region are gone from its model, too."""
    model, _, _ = model_by_region("user_knn")
    model.save(tmp_path / "b")
    from matinee.answers.manifest import bury

    bury(tmp_path / "b", frozenset({"v3"}))
    again = load(tmp_path / "b")
    assert again.recommend(["v3"]).sources == ["fallback:popular"]
    assert not len(again.askers(["v3"]).histories.items)


def sealed_again(folder):
    """The manifest as if its writer had written the files that are there now."""
    manifest = json.loads((folder / MANIFEST).read_text())
    write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("format", "files", "seal")})


def test_an_altered_file_of_a_region_is_refused_by_name(tmp_path):
    model, _, _ = model_by_region()
    model.save(tmp_path / "b")
    path = tmp_path / "b/parts/region2-transitions/weights.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(BundleError, match=r"region2-transitions/weights\.safetensors: altered"):
        load(tmp_path / "b")


def test_regions_that_were_exchanged_answer_otherwise(tmp_path):
    """Every hash is right again; the golden answers of the regions are not."""
    model, _, _ = model_by_region()
    model.save(tmp_path / "b")
    place = tmp_path / "b/parts/regions/config.json"
    config = json.loads(place.read_text())
    config["settings"]["regions"].reverse()
    place.write_text(json.dumps(config, indent=1, sort_keys=True))
    sealed_again(tmp_path / "b")
    with pytest.raises(BundleError, match="query 9 is answered otherwise"):
        load(tmp_path / "b")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parts": ["transitions", "region1-transitions", "none"]}, "needs the part 'none'"),
        ({"parts": ["transitions", "region1-transitions"]}, "strict|argument"),
        ({"regions": ["north"]}, "1 regions need popularity of shape"),
        ({"parts": ["transitions", "regions", "region1-transitions"]}, "cannot be divided"),
    ],
)
def test_regions_that_do_not_fit_their_parts_are_refused(tmp_path, settings, words):
    model, _, _ = model_by_region()
    part = model.parts[REGIONS]
    broken = replace(part, settings={**part.settings, **settings})
    with pytest.raises((SettingsError, ValueError), match=words):
        _ = replace(model, parts={**model.parts, REGIONS: broken}).scorer
    model.save(tmp_path / "b")
    (tmp_path / "b/parts/regions/config.json").write_text(
        json.dumps({"kind": REGIONS, "settings": dict(broken.settings)})
    )
    sealed_again(tmp_path / "b")
    with pytest.raises(BundleError, match="do not fit together"):
        load(tmp_path / "b")


def test_a_large_catalogue_by_region_looks_at_all_items(tmp_path, monkeypatch):
    from matinee.answers import bundle as bundles

    model, _, own = model_by_region()
    monkeypatch.setattr(bundles.write_bundle, "__kwdefaults__", {"large": 10})
    model.save(tmp_path / "b")
    again = load(tmp_path / "b")
    assert again.candidates is None
    same(again, own["north"], "v3")


def test_popularity_of_a_region_counts_its_own_events():
    log = the_log()
    own = Popularity().fit(own_log(log, "north")).context.popularity
    told = np.bincount(log.histories.items[log.histories.rows() < 20], minlength=log.n_items)
    np.testing.assert_array_equal(own, told)


def test_noes_of_other_regions_are_left_out():
    from matinee.testing.made_logs import ragged

    log = replace(the_log(), negatives=ragged([[v % 5] for v in range(N)]), negative_times=np.arange(N))
    kept = only_of(log, np.arange(N) >= 20)
    assert len(kept.negatives) == N
    assert kept.negatives.row(3).tolist() == []
    assert kept.negatives.row(21).tolist() == [1]
    assert kept.negative_times.tolist() == list(range(20, N))
    assert kept.histories.lengths[:20].sum() == 0
