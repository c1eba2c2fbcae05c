from matinee.testing.recommenders import RecommenderTests


class TestItemKnn(RecommenderTests):
    name = "item_knn"
    moves = {"neighbours": (3, 500), "threshold": (0.01, 0.5), "negative": (0.0, 1.0)}  # noqa: RUF012 - the suite reads it, nobody writes it
    likeness = False  # its likeness is what it foretells after the item
