from matinee.testing.recommenders import RecommenderTests


class TestFriends(RecommenderTests):
    name = "friends"
    additive = False
    strangers = False
