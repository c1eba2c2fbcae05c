"""What a table says of its regions: differences, Holm over all of them, a sentence each."""

import numpy as np
import pytest

from matinee.core.statistics import holm, sign_flip_p
from matinee.evaluate.aim import aim_of
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.regions import Fits, region_facts

AIM = aim_of(None, (10,))


def evidence(values):
    sums = np.asarray(values, dtype=np.float64)[:, None]
    counts = np.ones(len(sums), np.int64)
    return Evidence(names=["ndcg@10"], sums=sums, counts=counts, coverage={}, tied=0.0)


def fits(gain, n=300, told=(0.3, 0.2), name="ease", seed=0):
    """A recommender whose own model is better by `gain` for everybody, give or take."""
    shared = np.random.default_rng(seed).random(n)
    own = shared + gain + 0.05 * np.random.default_rng(seed + 1).standard_normal(n)
    return Fits(
        name=name,
        test={"own": evidence(own), "shared": evidence(shared)},
        validation=dict(zip(("own", "shared"), told, strict=True)),
        fit_cpu_s=1.0,
    )


def about(region, why=""):
    return {"region": region, "viewers": 400, "events": 4000, "asked": 90, "why": why}


def sentence(one, chosen="ease", why=""):
    (row,) = region_facts([about("north", why)], [[one]], AIM, chosen)
    return row["verdict"]


def test_p_is_adjusted_over_every_recommender_in_every_region():
    table = [[fits(0.02, name="ease"), fits(0.004, name="popularity", seed=5)], [fits(0.01, seed=9)]]
    found = region_facts([about("north"), about("south")], table, AIM, "ease")
    differences = [one["difference"] for row in found for one in row["recommenders"]]
    for difference, one in zip(differences, [one for row in table for one in row], strict=True):
        gaps = one.test["own"].sums - one.test["shared"].sums
        assert difference["p"] == pytest.approx(float(sign_flip_p(gaps)[0]))
        assert difference["mean"] == pytest.approx(gaps.mean())
    assert [one["p_holm"] for one in differences] == holm([one["p"] for one in differences])


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (fits(0.05), "north: its own ease, as validation chose; on the test ndcg@10 "),
        (fits(0.05), "better beyond chance (p < .001)."),
        (fits(-0.05), "worse beyond chance (p < .001)."),
        (fits(0.0), "that may be chance (p = "),
        (fits(0.05, told=(0.2, 0.3)), "north: the shared ease, as validation chose"),
        (fits(0.05, told=(0.2, 0.3)), "worse beyond chance (p < .001)."),
        (fits(-0.05, told=(0.2, 0.3)), "better beyond chance (p < .001)."),
        (fits(0.05, told=(0.3, 0.3)), "north: the shared ease, as validation chose"),
        (fits(0.05, n=199), "too few to tell, 199 viewers."),
        (fits(0.05, name="other"), "north: no recommender was chosen."),
        (
            Fits(name="ease", test={"shared": evidence([0.1])}, validation={"shared": 0.2}, error="It died."),
            "north: the shared ease, for its own could not be fitted: It died.",
        ),
    ],
)
def test_a_region_in_one_sentence(one, words):
    assert words in sentence(one)


def test_a_small_region_says_why_and_one_that_nobody_asks_says_so():
    alone = Fits(name="ease", test={"shared": evidence([0.1])}, validation={"shared": 0.2})
    assert sentence(alone, why="3 viewers") == "north: the shared ease, for 3 viewers."
    nobody = {"own": evidence([]), "shared": evidence([])}
    asked = Fits(name="ease", test=nobody, validation={"own": 0.3, "shared": 0.2})
    assert sentence(asked) == "north: its own ease, as validation chose; the test asks nobody there."
