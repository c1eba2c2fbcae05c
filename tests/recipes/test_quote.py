from dataclasses import replace

import pytest

from matinee.core.electricity import electricity_dollars
from matinee.core.errors import SettingsError
from matinee.data.log import InteractionLog
from matinee.recipes.forecast import Work, core_speed, crowd, fit_work, this_machine, wall_s, walls_s
from matinee.recipes.quote import Asked, asked_of, buying, duration, quote, range_words, searched
from matinee.simulate.small import predictable
from matinee.tune.budget import Budget
from matinee.tune.prices import PRICES, Card, MachineType, Prices

HERE = MachineType(name="this machine", price_per_hour=0.0, cores=2)
FAST = MachineType(name="fast", price_per_hour=2.0, spot_price_per_hour=0.5, cores=8, network_speed=1000.0)


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return predictable()


def prices(*machines: MachineType, gpu: Card | None = None) -> Prices:
    return Prices(source="nobody", dated="never", machines=machines, gpu=gpu)


def test_a_core_is_measured_and_a_crowded_machine_is_slower():
    assert 0.01 < core_speed() < 20
    assert crowd(4, 0.0) == 1.0
    assert crowd(2, 7.0) == 4.0
    assert this_machine().cores >= 1


def test_a_prediction_has_a_range_that_holds_it_and_a_faster_machine_takes_less():
    work = Work(network=90.0, other=30.0)
    for machine in (HERE, FAST):
        taken = wall_s(work, machine)
        assert taken.low < taken.likely < taken.high
    assert wall_s(work, FAST).likely < wall_s(work, HERE).likely / 5
    twice = replace(HERE, core_speed=2.0)
    assert wall_s(work, twice).likely == pytest.approx(wall_s(work, HERE).likely / 2)
    # What is short is over before a second core has helped.
    short = Work(other=10.0)
    assert wall_s(short, replace(HERE, cores=64)) == wall_s(short, HERE)
    assert walls_s([short, short], HERE).likely == pytest.approx(2 * wall_s(short, HERE).likely)


def test_of_a_blend_the_network_is_what_a_gpu_takes_over(log: InteractionLog):
    work = fit_work("blend", {"sequential.passes": 14}, log)
    assert 0 < work.network < work.cpu_s
    assert work.network > fit_work("blend", {"sequential.passes": 2}, log).network
    alone = fit_work("sequential", {"passes": 14}, log)
    assert alone.other == 0.0
    assert fit_work("ease", {}, log).network == 0.0
    assert fit_work("ease", {}, log, judged=True).other > fit_work("ease", {}, log).other


def test_here_money_is_electricity_and_elsewhere_the_cheaper_price(log: InteractionLog):
    facts = quote(log, asked_of(log, "ease"), prices(FAST), HERE).facts
    here, (fast,) = facts["here"], facts["machines"]
    likely = here["fit"]["wall_s"]["likely"]
    assert here["fit"]["dollars"]["likely"] == pytest.approx(electricity_dollars(likely), abs=1e-6)
    wall = fast["fit"]["wall_s"]["likely"]
    assert fast["fit"]["dollars"]["likely"] == pytest.approx(wall / 3600 * 0.5, abs=1e-6)
    # A machine has to start before it does anything.
    assert wall > 60
    assert facts["verdict"].startswith("Don't rent: this machine finishes in")


def test_a_fit_that_chooses_is_all_that_it_tries_and_one_that_stays(log: InteractionLog):
    chosen = quote(log, Asked(), PRICES, HERE)
    named = quote(log, asked_of(log, "ease"), PRICES, HERE)
    assert len(chosen.fit) > 5
    assert len(named.fit) == 1
    assert chosen.fit_s.likely > named.fit_s.likely
    assert chosen.trial is None
    assert chosen.facts["here"]["study"] is None


def test_a_budget_says_how_many_trials_it_pays_for(log: InteractionLog):
    asked = asked_of(log, "ease", budget=Budget(seconds=600.0))
    study = quote(log, asked, prices(FAST), HERE).facts["here"]["study"]
    assert study["wall_s"]["likely"] == pytest.approx(600.0)
    assert study["trials"]["low"] < study["trials"]["likely"] < study["trials"]["high"]
    cent = asked_of(log, "ease", budget=Budget(dollars=0.01, seconds=1e9))
    hours = quote(log, cent, prices(FAST), HERE).facts["here"]["study"]["wall_s"]["likely"] / 3600
    assert hours == pytest.approx(0.01 / electricity_dollars(3600.0))


def test_the_default_recommender_is_studied_where_none_is_named(log: InteractionLog):
    assert asked_of(log, None).studied == searched(log) == "blend"
    assert asked_of(log, "popularity").studied is None
    with pytest.raises(SettingsError, match="did you mean 'ease'"):
        asked_of(log, "eese")
    with pytest.raises(SettingsError, match="--target rating"):
        asked_of(log, "rating")


def test_long_work_is_worth_renting_for_whoever_is_in_a_hurry(log: InteractionLog):
    slow = replace(HERE, core_speed=1e-3)
    facts = quote(log, asked_of(log, "blend"), prices(FAST), slow).facts
    assert facts["verdict"].startswith("Rent if you are in a hurry: fast would in")
    nobody = quote(log, asked_of(log, "blend"), prices(), slow).facts
    assert nobody["verdict"].startswith("Don't rent")


def test_a_fit_that_memory_does_not_hold_is_told(log: InteractionLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("matinee.recipes.quote.available_bytes", lambda: 2**20)
    facts = quote(log, asked_of(log, "ease"), prices(FAST), HERE).facts
    assert facts["verdict"].startswith("This machine has too little memory:")


def test_a_card_pays_from_so_many_hours_a_month():
    card = Card(name="card", price=360.0, watts=0.0, network_speed=1000.0, life_months=36.0)
    told = buying(card, [FAST])
    assert told is not None
    own = electricity_dollars(3600.0)
    assert told["spot"]["hours_a_month"] == pytest.approx(10 / (0.5 - own), abs=0.1)
    assert told["on_demand"]["hours_a_month"] == pytest.approx(10 / (2.0 - own), abs=0.1)
    # Half as fast as what is rented: an hour of it is worth half.
    half = buying(replace(card, network_speed=500.0), [FAST])
    assert half is not None
    assert half["spot"]["hours_a_month"] == pytest.approx(10 / (0.25 - own), abs=0.1)
    cheap = buying(replace(card, watts=1e4), [FAST])
    assert cheap is not None
    assert cheap["spot"]["hours_a_month"] is None
    assert buying(card, [HERE]) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "a second"), (8.4, "8 s"), (360, "6 min"), (7_200, "2 h"), (200_000, "2 days")],
)
def test_durations_as_people_say_them(seconds: float, words: str):
    assert duration(seconds) == words
    assert range_words({"low": seconds, "likely": seconds, "high": seconds}) == words
    assert range_words({"low": 1.0, "likely": seconds, "high": 1e6}).startswith(f"about {words} (1 s to ")
