import pytest

from matinee.core.run import Step
from matinee.recipes.progress import Slot, clock_words, slots, step_words


def test_a_step_as_a_person_reads_it(monkeypatch):
    monkeypatch.setenv("MATINEE_WATTS", "100")
    monkeypatch.setenv("MATINEE_PRICE_PER_KWH", "0.3")
    step = Step(share=0.25, doing="pass 3 of 12", loss=5.8164, validation=("ndcg@10", 0.1712), left_s=130.4)
    said = "sequential: pass 3 of 12, loss 5.82, ndcg@10 .171, 2:10 left, $0.0004"
    assert step_words("sequential", step, wall_s=48.0) == said
    assert step_words("blend", Step(share=0.0, doing="reading"), wall_s=0.0) == "blend: reading, $0.0000"
    assert step_words("blend", Step(share=0.0, doing="reading"), wall_s=4e6).endswith("$33.33")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (59.6, "1:00"), (3_729, "1:02:09"), (-3, "0:00")]
)
def test_a_duration_as_a_clock_shows_it(seconds, words):
    assert clock_words(seconds) == words


def test_a_bar_moves_within_a_fit_and_as_far_as_the_fit_costs():
    seen = []
    for slot in slots(["quick", "slow"], [1.0, 3.0], lambda words, share: seen.append((words, share)), 0.8):
        slot.tell(Step(share=0.5, doing="half"))
        slot.tell(Step(share=7.0, doing="too far"))
    shares = [share for _, share in seen]
    assert shares == pytest.approx([0.0, 0.1, 0.2, 0.2, 0.5, 0.8])
    assert seen[0][0] == "quick"


def test_several_fits_of_one_row_share_its_stretch():
    seen = []
    whole = Slot("ease", lambda _words, share: seen.append(share), 0.2, 0.8)
    for part in whole.split(3):
        part.tell(Step(share=1.0, doing="done"))
    assert seen == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8])
