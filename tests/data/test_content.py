import numpy as np
import pyarrow as pa
import pytest

from matinee.data.content import content_of, fingerprint_content, is_described, learn_features

TITLES = ["The Fox", "Fox and Hound (1981)", "A FOX, again", "Hound of Ash", "Hound!", "i5"]
TABLE = pa.table(
    {
        "id": [f"i{code}" for code in range(6)],
        "title": TITLES,
        "genres": [["Drama"], ["Drama", "War"], ["drama"], ["War"], ["War"], None],
        "maker": ["Ann Lee", "Ann  Lee", "ann lee", None, "Bo", ""],
        "available_from": [0, 1, 2, 3, 4, 5],
        "regions": [["north"]] * 6,
        "year": [1990] * 6,
    }
)
ALL = np.ones(6, dtype=bool)


def dense(table, features, vectors=None):
    return np.asarray(content_of(table, vectors, features).shares.todense())


def test_words_of_texts_and_values_of_categories_are_features():
    features = learn_features(TABLE, None, ALL)
    names = set(features.names.arrow.to_pylist())
    assert names == {"fox", "hound", "genres=drama", "genres=war", "maker=ann lee"}
    assert set(features.columns) == {"genres", "maker"}


def test_texts_and_each_category_have_length_one():
    features = learn_features(TABLE, None, ALL)
    shares = dense(TABLE, features)
    place = {name: code for code, name in enumerate(features.names.arrow.to_pylist())}
    words, genres = [place["fox"], place["hound"]], [place["genres=drama"], place["genres=war"]]
    # Fox and hound are equally rare.
    np.testing.assert_allclose(shares[1, words], [0.5**0.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(shares[1, genres], [0.5**0.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(shares[0, place["maker=ann lee"]], 1.0)
    assert not shares[5].any()
    assert content_of(TABLE, None, features).described.tolist() == [True] * 5 + [False]


def test_rarer_words_count_more():
    titles = [f"alpha {'beta' if code < 4 else 'gamma'}" for code in range(12)]
    table = pa.table({"id": [str(code) for code in range(12)], "title": titles})
    features = learn_features(table, None, np.ones(12, dtype=bool))
    place = {name: code for code, name in enumerate(features.names.arrow.to_pylist())}
    shares = dense(table, features)
    assert shares[0, place["beta"]] > shares[0, place["alpha"]] > 0
    assert np.log(1 + 12 / 4) / np.log(1 + 12 / 12) == pytest.approx(
        shares[0, place["beta"]] / shares[0, place["alpha"]], rel=1e-5
    )


def test_only_what_enough_watched_items_have_is_learnt_from():
    watched = np.array([True, True, False, True, True, True])
    names = learn_features(TABLE, None, watched).names.arrow.to_pylist()
    assert set(names) == {"hound", "genres=war"}


def test_a_later_item_is_read_as_the_others_were():
    features = learn_features(TABLE, None, ALL)
    whole = dense(TABLE, features)
    for row in range(6):
        np.testing.assert_array_equal(dense(TABLE.slice(row, 1), features)[0], whole[row])
    # A long name of a category stays one value; words that nobody knows and other columns say nothing.
    long = pa.table({"id": ["new"], "title": ["Wolf"], "maker": ["fox hound fox hound"], "mood": ["fox"]})
    shares = dense(long, features)[0]
    place = {name: code for code, name in enumerate(features.names.arrow.to_pylist())}
    assert shares[place["fox"]] == 1.0
    assert np.count_nonzero(shares) == 1


def test_vectors_count_by_their_direction_from_the_mean():
    vectors = np.array([[2.0, 0.0], [0.0, 2.0], [np.nan, np.nan], [4.0, 1.0]], dtype=np.float32)
    table = pa.table({"id": list("abcd"), "title": list("abcd")})
    watched = np.array([True, True, True, False])
    features = learn_features(table, vectors, watched)
    np.testing.assert_allclose(features.mean, [1.0, 1.0])
    found = content_of(table, vectors, features).vectors
    half = 0.5**0.5
    np.testing.assert_allclose(found, [[half, -half], [-half, half], [0, 0], [1, 0]], atol=1e-6)
    assert content_of(table, None, features).vectors.shape == (4, 2)


def test_a_title_that_is_the_id_describes_nothing():
    plain = pa.table({"id": ["a b c", "d"], "title": ["a b c", "d"], "available_from": [1, 2]})
    assert not is_described(plain)
    assert not is_described(plain.select(["id"]))
    assert len(learn_features(plain, None, np.ones(2, dtype=bool)).names) == 0
    assert is_described(TABLE)
    assert is_described(TABLE.select(["id", "title"]))
    assert is_described(TABLE.select(["id", "genres"]))


def test_texts_in_any_type_of_strings_are_read():
    kinds = pa.table(
        {
            "id": TABLE["id"].cast(pa.large_string()),
            "title": TABLE["title"].combine_chunks().dictionary_encode(),
            "genres": TABLE["genres"].cast(pa.large_list(pa.large_string())),
            "maker": TABLE["maker"].cast(pa.large_string()),
        }
    )
    features = learn_features(TABLE, None, ALL)
    np.testing.assert_array_equal(dense(kinds, features), dense(TABLE, features))


def test_a_fingerprint_is_of_what_items_are_known_by():
    vectors = np.ones((6, 2), dtype=np.float32)
    found = fingerprint_content(TABLE, None)
    assert found == fingerprint_content(TABLE.drop_columns(["available_from", "regions", "year"]), None)
    other = TABLE.set_column(1, "title", pa.array([*TITLES[:-1], "Elsewhere"]))
    moved = TABLE.set_column(3, "maker", pa.array([None, "Ann Lee", "Ann  Lee", "ann lee", "Bo", ""]))
    all_of_them = {found, *(fingerprint_content(one, None) for one in (other, moved))}
    all_of_them |= {fingerprint_content(TABLE, vectors), fingerprint_content(TABLE, 2 * vectors)}
    assert len(all_of_them) == 5
