from matinee.testing.recommenders import RecommenderTests


class TestFriends(RecommenderTests):
    name = "friends"
    heeds_noes = False
    additive = False
    strangers = False
    weighs = False
