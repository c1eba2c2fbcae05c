from dataclasses import replace

import numpy as np

from matinee.answers.model import Model
from matinee.answers.reasons import strongest
from matinee.core.types import Askers
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of


def asking(model: Model, viewer: int) -> Askers:
    who = np.array([viewer])
    return Askers(histories=model.log.histories.take(who), viewers=who)


def test_nobody_is_the_neighbour_who_brings_their_own_reasons() -> None:
    log = log_of([[0, 1, 2], [0, 1, 3], [4, 5]])
    model = make_recommender("user_knn", {"neighbours": 1}).fit(log)
    assert model.reasons(asking(model, 0), 3, personal=True) == ["because you watched i0 and i1"]


def test_the_event_that_weighs_most_is_the_reason() -> None:
    model = make_recommender("ease", {"ridge": 5.0}).fit(log_of([[0, 1, 2]] * 5 + [[3, 4]] * 5 + [[0, 1]]))
    asker = asking(model, 10)
    for heavy in (0, 1):
        weights = np.where(np.arange(2) == heavy, 40.0, 1.0).astype(np.float32)
        weighted = replace(asker, histories=replace(asker.histories, weights=weights))
        assert model.reasons(weighted, 2, personal=True) == [f"because you watched i{heavy}"]


def test_ten_items_are_explained_as_each_alone() -> None:
    lists = [[(start + step) % 12 for step in range(5)] for start in range(12)] * 3
    log = log_of(lists)
    for name, settings in {
        "transitions": {},
        "ease": {},
        "item_knn": {},
        "ials": {"factors": 4, "epochs": 2},
        "user_knn": {},
    }.items():
        model = make_recommender(name, settings).fit(log, seed=0)
        for viewer in (0, 7):
            asker = asking(model, viewer)
            items = [int(code) for code in np.argsort(-model.scorer.score(asker)[0])[:10]]
            together = model.reasons_of(asker, items, personal=True)
            assert together == [_alone(model, asker, item) for item in items], name
            assert any(together)


def _alone(model: Model, asker: Askers, item: int) -> list[str]:
    """The words by what an item's own contributions say, as they are promised of any scorer."""
    named = strongest(asker.histories.items, model.scorer.contributions(asker, item))
    return [f"because you watched {' and '.join(model.log.items.ids(named))}"] if named else []
