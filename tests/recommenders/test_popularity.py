from matinee.testing.recommenders import RecommenderTests


class TestPopularity(RecommenderTests):
    name = "popularity"
    heeds_noes = False
    personal = False
    likeness = False
    margin = None
