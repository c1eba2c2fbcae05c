from matinee.testing.recommenders import RecommenderTests


class TestGraphFilter(RecommenderTests):
    name = "graph_filter"
    heeds_noes = False
    settings = {"factors": 6}  # noqa: RUF012 - the suite reads it, nobody writes it
    likeness = False  # its likeness is what it answers to a history of the item
