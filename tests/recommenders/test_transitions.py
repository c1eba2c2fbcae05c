from matinee.testing.recommenders import RecommenderTests


class TestTransitions(RecommenderTests):
    name = "transitions"
    likeness = False  # its likeness is what it foretells after the item
