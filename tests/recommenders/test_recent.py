from matinee.testing.recommenders import RecommenderTests


class TestRecent(RecommenderTests):
    name = "recent"
    personal = False
    likeness = False
    margin = None
