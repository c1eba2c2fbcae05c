from matinee.testing.recommenders import RecommenderTests


class TestEase(RecommenderTests):
    name = "ease"
    likeness = False  # its likeness is what it foretells after the item
    # A decay of 1 goes another way: below it, too, the rate tells.
    moves = {  # noqa: RUF012 - the suite reads it, nobody writes it
        "decay": (0.7, 0.95),
        "threshold": (0.01, 0.5),
        "features": (0, 3),
        "dropout": (0.0, 0.5),
        "negative": (0.0, 1.0),
    }
