from matinee.testing.recommenders import RecommenderTests


class TestItemKnn(RecommenderTests):
    name = "item_knn"
    likeness = False  # its likeness is what it foretells after the item
