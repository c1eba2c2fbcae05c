from matinee.testing.recommenders import RecommenderTests


class TestPopularity(RecommenderTests):
    name = "popularity"
    personal = False
    likeness = False
    margin = None
