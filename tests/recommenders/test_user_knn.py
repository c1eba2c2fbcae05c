from matinee.testing.recommenders import RecommenderTests


class TestUserKnn(RecommenderTests):
    name = "user_knn"
