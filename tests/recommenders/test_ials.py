from matinee.testing.recommenders import RecommenderTests


class TestIals(RecommenderTests):
    name = "ials"
    moves = {"epochs": (1, 8), "negative": (0.0, 1.0), "friends": (0.0, 0.5)}  # noqa: RUF012 - the suite reads it, nobody writes it
    settings = {"factors": 16}  # noqa: RUF012
