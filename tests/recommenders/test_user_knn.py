from matinee.testing.recommenders import RecommenderTests


class TestUserKnn(RecommenderTests):
    name = "user_knn"
    moves = {"negative": (0.0, 1.0)}  # noqa: RUF012 - the suite reads it, nobody writes it
