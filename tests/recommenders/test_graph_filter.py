import numpy as np

from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of, random_log
from matinee.testing.recommenders import RecommenderTests


class TestGraphFilter(RecommenderTests):
    name = "graph_filter"
    heeds_noes = False
    moves = {"neighbours": (3, 200)}  # noqa: RUF012 - the suite reads it, nobody writes it
    settings = {"factors": 6}  # noqa: RUF012 - the suite reads it, nobody writes it
    likeness = False  # its likeness is what it answers to a history of the item


def test_of_an_endless_history_only_the_latest_events_teach() -> None:
    base = random_log(2)
    rows = [base.histories.row(viewer).tolist() for viewer in range(40)]
    endless = [*np.arange(20_000) % 10, *(10 + np.arange(5_000) % 20)]
    recommender = make_recommender("graph_filter", {"factors": 4})
    longer, shorter = log_of([*rows, endless], n_items=30), log_of([*rows, endless[-5_000:]], n_items=30)
    found, wanted = (recommender.fit(log).parts["graph_filter"].tensors for log in (longer, shorter))
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor)
    assert recommender.needs(longer).cpu_s < 1.5 * recommender.needs(shorter).cpu_s
