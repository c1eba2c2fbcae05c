from matinee.testing.recommenders import RecommenderTests


class TestIals(RecommenderTests):
    name = "ials"
    settings = {"factors": 16}  # noqa: RUF012
