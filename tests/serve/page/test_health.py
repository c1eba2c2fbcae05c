"""The health screen's figures: from what the server counts, and from what a bundle says of its fit."""

import asyncio
from dataclasses import replace

from matinee.serve.metrics import Metrics
from matinee.serve.page.health import Counted, counted_facts, latency_fact, model_facts, read_figures
from matinee.serve.service import BundleFacts

DAY_MS = 86_400_000
CREATED_MS = 1_767_225_600_000
USED = BundleFacts(
    name="b1",
    aliases=("default",),
    recommender="blend",
    fingerprint="f",
    created="2026-01-01T00:00:00+00:00",
    items=200,
    viewers=300,
    events=8_000,
    facts={"all_cpu_s": 90.0, "all_wall_s": 60.0, "all_dollars": 0.02, "chosen_by": "time-split"},
)


def figures():
    metrics = Metrics()
    for ms in (1, 1, 1, 40):
        metrics.seconds.labels("page", "/").observe(ms / 1000)
    metrics.answers.labels("blend", "b1", "home").inc(30)
    metrics.answers.labels("fallback:popular", "b1", "home").inc(10)
    metrics.fallbacks.labels("b1").inc(10)
    metrics.events.inc(7)
    return read_figures(asyncio.run(metrics.text()))


def test_figures_are_summed_over_their_labels():
    told = {fact.name: fact.value for fact in counted_facts(figures())}
    assert told["answers"] == "40"
    assert told["fallbacks"] == "25.0 %"
    assert told["events"] == "7"


def test_latency_is_the_bound_below_which_a_share_lies():
    found = figures()
    assert found.quantile("matinee_request_seconds", 0.5) == 0.001
    assert found.quantile("matinee_request_seconds", 0.99) == 0.05
    assert found.values["matinee_request_seconds_count"] == 4
    assert Counted().quantile("matinee_request_seconds", 0.99) is None


def test_few_requests_are_no_reason_to_look_at_latency():
    slow = latency_fact(2.0, 299)
    assert (slow.value, slow.well) == ("2000 ms", True)
    assert slow.words.endswith("Of 299 requests: too few to judge by.")
    assert not latency_fact(2.0, 300).well
    assert latency_fact(0.2, 300).well


def test_the_models_age_is_told_and_an_old_one_is_worth_a_look():
    young = model_facts(USED, CREATED_MS + 3 * DAY_MS)
    assert (young[0].value, young[0].well) == ("3 days", True)
    old = model_facts(USED, CREATED_MS + 30 * DAY_MS)
    assert (old[0].value, old[0].well) == ("30 days", False)
    told = {fact.name: fact for fact in young}
    assert told["trained on"].value == "8,000 events"
    assert told["a retrain costs"].value == "$0.02"
    assert "90 s of processor time in 60 s, choosing included." in told["a retrain costs"].words


def test_a_bundle_that_says_little_is_no_trouble():
    told = model_facts(replace(USED, created="?", facts={}), 0)
    assert told[0].value == "unknown"
    assert len(told) == 3
