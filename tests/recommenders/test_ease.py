from matinee.testing.recommenders import RecommenderTests


class TestEase(RecommenderTests):
    name = "ease"
    likeness = False  # its likeness is what it foretells after the item
