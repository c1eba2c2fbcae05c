import numpy as np

from matinee.core.seeds import generator, shuffle_keys


def test_a_stream_is_its_seed_and_its_name():
    assert generator(1, "a").random() == generator(1, "a").random()
    assert generator(1, "a").random() != generator(1, "b").random()
    assert generator(1, "a").random() != generator(2, "a").random()


def test_shuffle_keys_stay_when_the_catalogue_grows():
    assert np.array_equal(shuffle_keys(100, 3), shuffle_keys(1000, 3)[:100])


def test_shuffle_keys_have_nothing_to_do_with_the_numbering():
    keys = shuffle_keys(10_000)
    assert len(np.unique(keys)) == len(keys)
    assert keys.min() >= 0
    order = np.argsort(keys)
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.05
    assert not np.array_equal(order, np.argsort(shuffle_keys(10_000, seed=1)))
