from matinee.testing.recommenders import RecommenderTests


class TestEase(RecommenderTests):
    name = "ease"
    moves = {"threshold": (0.01, 0.5), "features": (0, 3), "negative": (0.0, 1.0)}  # noqa: RUF012 - the suite reads it, nobody writes it
    likeness = False  # its likeness is what it foretells after the item
