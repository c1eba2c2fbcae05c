"""A large catalogue gets the index that it needs, in its bundle, with what it is worth."""

import json

import numpy as np
import pytest
from tests.serve.large_world import WIDTH, a_blend, content_of, in_clusters

from matinee.answers.bundle import write_bundle
from matinee.answers.index import build as building
from matinee.answers.index.measure import exact_best, measure
from matinee.answers.index.queries import drawn_histories
from matinee.answers.model import load
from matinee.core.errors import BundleError
from matinee.core.types import histories_of
from matinee.recommenders import make_recommender


@pytest.fixture(scope="module")
def blend():
    return a_blend()


def test_few_numbers_are_read_exactly():
    vectors, asked = in_clusters(5_000, WIDTH)
    index, measured = building.build_index(vectors, asked[:100], asked[100:])
    assert index.exact
    assert measured.recall == 1.0


def test_many_numbers_are_read_in_lists_with_their_recall(monkeypatch):
    monkeypatch.setattr(building, "_EXACT_READ", 1_000)
    vectors, asked = in_clusters(30_000, WIDTH)
    index, measured = building.build_index(vectors, asked[:100], asked[100:])
    assert index.settings["way"] == "inverted_lists"
    assert measured.recall >= 0.95
    assert measured.read < 0.3 * vectors.size
    again, _ = building.build_index(vectors, asked[:100], asked[100:])
    assert again.settings == index.settings


def test_what_is_asked_without_pattern_is_read_exactly(monkeypatch):
    monkeypatch.setattr(building, "_EXACT_READ", 1_000)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3_000, 32)).astype(np.float32)
    index, measured = building.build_index(
        vectors, random.normal(size=(60, 32)).astype(np.float32), vectors[:60]
    )
    assert measured.recall >= 0.95
    assert measure(index, vectors[:60], exact_best(vectors, vectors[:60], 100)).recall == measured.recall


def test_a_bundle_of_a_large_catalogue_holds_its_index_and_says_its_worth(tmp_path, blend):
    write_bundle(tmp_path / "b", content_of(blend), large=1_000)
    told = json.loads((tmp_path / "b" / "manifest.json").read_text())["index"]
    assert set(told["parts"]) == {"sequential", "ials"}
    assert all(one["recall"] >= 0.95 and one["at"] == 100 for one in told["parts"].values())
    assert told["joint"]["same_top_10"] >= 0.99
    model = load(tmp_path / "b")
    assert model.facts["index"] == told
    assert model.candidates is not None
    same = 0
    askers = drawn_histories(model.log.histories, model.context.popularity, 100, seed=5)
    for asker in askers:
        whole = model.scorer.score(asker)[0]
        codes, scores = model.candidates.best(asker, 100)
        ten = codes[np.argsort(-scores)[:10]]
        best = np.argsort(-whole, kind="stable")[:10]
        same += set(ten.tolist()) == set(best.tolist())
        # The same scores but for what the network's total takes from all alike.
        apart = scores - whole[codes]
        assert np.ptp(apart) < 1e-3
        np.testing.assert_allclose(model.candidates.scores_of(asker, codes), scores, atol=1e-4)
    assert same >= 99


def test_small_catalogues_and_models_that_are_no_products_have_none(tmp_path, blend):
    write_bundle(tmp_path / "small", content_of(blend))
    assert load(tmp_path / "small").candidates is None
    assert not (tmp_path / "small" / "index").exists()
    plain = make_recommender("popularity", {}).fit(blend.log, seed=0)
    write_bundle(tmp_path / "popular", content_of(plain), large=10)
    assert load(tmp_path / "popular").candidates is None


def test_a_bundle_that_is_written_again_gets_an_index_of_its_own(tmp_path, blend):
    write_bundle(tmp_path / "a", content_of(blend), large=1_000)
    load(tmp_path / "a").save(tmp_path / "b")
    again = load(tmp_path / "b")
    assert "index" not in again.facts
    assert again.candidates is None


def test_an_index_that_was_tampered_with_is_refused(tmp_path, blend):
    write_bundle(tmp_path / "b", content_of(blend), large=1_000)
    path = tmp_path / "b" / "index" / "sequential.safetensors"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(BundleError, match=r"sequential\.safetensors: altered"):
        load(tmp_path / "b")


def test_without_histories_queries_are_made_up():
    nobody = histories_of([])
    found = drawn_histories(nobody, np.array([0, 3, 1], np.float32), 20, seed=0)
    assert len(found) == 20
    assert {int(code) for one in found for code in one.histories.items} == {1, 2}
    assert not drawn_histories(nobody, np.zeros(3, np.float32), 20, seed=0)
