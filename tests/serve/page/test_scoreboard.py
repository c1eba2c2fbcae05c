"""What the screen says of the bundle in use, from what its manifest says of the fit."""

import pytest

from matinee.serve.page.scoreboard import verdict
from matinee.serve.service import BundleFacts


def used(name, **facts):
    return BundleFacts(
        name="b",
        aliases=("live",),
        recommender=name,
        fingerprint="f",
        created="2026-01-01",
        items=1,
        viewers=1,
        events=1,
        facts=facts,
    )


@pytest.mark.parametrize(
    ("metric", "tried"),
    [
        ("ndcg@10", {"mine": 0.3, "near": 0.29, "far": 0.1}),
        ("rmse", {"mine": 0.88, "near": 0.92, "far": 1.15}),
    ],
)
def test_who_came_first_and_who_next_is_told_by_what_validation_chose_by(metric, tried):
    def told(name):
        mean = tried[name]
        metrics = {metric: {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}}
        return verdict(used(name, metrics=metrics, chosen_metric=metric, tried=tried))

    assert told("mine").startswith(f"In use is mine: {metric} ")
    assert "it came first; next came near" in told("mine")
    assert "it did not come first; next came mine" in told("far")


def test_bundles_from_before_a_metric_was_written_down_were_chosen_by_ndcg():
    metrics = {"ndcg@10": {"mean": 0.3, "low": 0.2, "high": 0.4}}
    assert "ndcg@10 .300" in verdict(used("mine", metrics=metrics))
    assert "was not judged" in verdict(used("mine", metrics={}))
