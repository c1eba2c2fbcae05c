from typing import Any

import pytest

from matinee.evaluate.verdict import Findings, verdict


def findings(**more: Any) -> Findings:
    held = {"popularity": 0.044, "ease": 0.11, "transitions": 0.273}
    facts: dict[str, Any] = {
        "targets": 6040,
        "viewers": 6040,
        "single": True,
        "k": 10,
        "held": held,
        "ranking": ["transitions", "ease", "popularity"],
        "pairs": {"ease": (0.1, 0.0006), "popularity": (0.2, 0.0006)},
    }
    return Findings(**{**facts, **more})


def test_a_winner_in_words_that_a_boss_understands():
    assert verdict(findings()) == (
        "Of 100 next choices, our shelf of ten (transitions) held 27, the popular shelf 4. "
        "It beats every other recommender here beyond chance (p < .001)."
    )


def test_several_targets_a_viewer_are_other_words():
    assert verdict(findings(single=False, targets=20_000)).startswith(
        "For 27 of 100 viewers, our shelf of ten (transitions) held something that they chose and we had "
        "hidden; the popular shelf for 4."
    )


@pytest.mark.parametrize(("targets", "viewers"), [(1999, 1999), (6000, 199)])
def test_too_few_to_tell(targets, viewers):
    words = verdict(findings(targets=targets, viewers=viewers))
    assert words.startswith("Too few to tell")
    assert "held" not in words


def test_nothing_beats_popularity():
    chosen = findings(
        ranking=["popularity", "ease", "transitions"],
        pairs={"ease": (0.01, 0.4), "transitions": (0.0, 1.0)},
    )
    assert verdict(chosen).startswith("Nothing here beats popularity: validation chose it.")
    unsure = findings(pairs={"ease": (0.1, 0.4), "popularity": (0.01, 0.4)})
    assert verdict(unsure).startswith(
        "Nothing here is shown to beat popularity: the lead of transitions, which validation chose, "
        "may be chance"
    )
    level = findings(pairs={"ease": (0.1, 0.4), "popularity": (-0.01, 0.4)})
    assert "has no lead" in verdict(level)


def test_popularity_wins_and_others_that_do_better_are_named():
    loses = findings(pairs={"ease": (0.1, 0.4), "popularity": (-0.1, 0.001)})
    assert verdict(loses).startswith("Popularity beats transitions")
    better = findings(pairs={"ease": (-0.1, 0.001), "popularity": (0.01, 0.4)})
    assert verdict(better).startswith("transitions, which validation chose, is not shown to beat popularity")
    chosen = findings(ranking=["popularity", "ease"], pairs={"ease": (-0.1, 0.001), "transitions": (0, 1)})
    assert "ease did better beyond chance" in verdict(chosen)


def test_a_rival_too_close_to_tell_or_better_is_said():
    close = findings(pairs={"ease": (0.01, 0.2), "popularity": (0.2, 0.001)})
    assert verdict(close).endswith("Its distance to ease may be chance (p = .200).")
    better = findings(pairs={"ease": (-0.05, 0.002), "popularity": (0.2, 0.001)})
    assert "On the test ease did better still, beyond chance" in verdict(better)
    held = {"popularity": 0.04, "a": 0.1, "b": 0.1, "transitions": 0.3}
    mixed = findings(
        held=held,
        ranking=["transitions", "a", "b", "popularity"],
        pairs={"a": (0.1, 0.001), "b": (0.1, 0.2), "popularity": (0.2, 0.001)},
    )
    assert "distance to b may be chance" in verdict(mixed)
    assert "it beats a, the best other" in verdict(mixed)


def test_a_table_of_one_and_a_table_of_none():
    assert verdict(findings(held={"ease": 0.013}, ranking=["ease"], pairs={})) == (
        "Of 100 next choices, our shelf of ten (ease) held 1.3."
    )
    assert verdict(findings(held={}, ranking=[], pairs={})).startswith("No verdict")
    assert verdict(findings(ranking=[], pairs={})).startswith("No verdict")
