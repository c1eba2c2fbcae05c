"""What a fit and a study would cost, here and elsewhere, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from matinee.core.electricity import electricity_dollars
from matinee.core.memory import available_bytes, size_words
from matinee.core.seeds import generator
from matinee.core.space import Space, draw
from matinee.data.log import InteractionLog
from matinee.recipes.forecast import START_S, Range, Work, booted, fit_work, this_machine, wall_s, walls_s
from matinee.recipes.rows import default_rows, missing, predicted, require_aim
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.report.numbers import money
from matinee.tune.budget import Budget
from matinee.tune.prices import Card, MachineType, Prices

# How many trials a study is reckoned with where no budget says how many it can pay for.
TRIALS = 30
_DRAWS = 12
_ASKING_S = 0.3
# Nobody rents a machine for what is over here before one would have started twice.
_PATIENCE_S = 1_800.0
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a quote is for.

    Attributes:
        recommender: its name; None: the fit chooses, and a study searches `studied`.
        settings: settings that differ from its defaults.
        studied: the recommender that a study searches; None: there is none to search.
        space: what a study may change; None: the recommender's own.
        histories: whether a model may answer from other people's histories.
        budget_dollars: of a study; None: no such bound.
        budget_s: of a study, by the clock; None: no such bound.
    """

    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    studied: str | None = None
    space: Space | None = None
    histories: bool = True
    budget_dollars: float | None = None
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What work would cost.

    Attributes:
        fit: the processes of a fit, in the order in which they run.
        trial: what one trial of a study takes at the median of settings drawn from its space.
        facts: the JSON of `quote`.
    """

    fit: tuple[Work, ...]
    trial: Work | None
    facts: dict[str, Any]

    @property
    def fit_s(self) -> Range:
        """Wall seconds of the fit on this machine."""
        return Range(**self.facts["here"]["fit"]["wall_s"])


def asked_of(
    log: InteractionLog,
    recommender: str | None,
    settings: Mapping[str, Any] | None = None,
    *,
    budget: Budget | None = None,
    histories: bool = True,
) -> Asked:
    """What a quote is for, of a fit and a study of one recommender, or of the default.

    Raises:
        SettingsError: an unknown recommender, or one that is not for what the log's target asks.
        MissingExtra: what it needs is not installed.
    """
    if recommender is not None:
        make_recommender(recommender, settings)
        require_aim([recommender], log.target)
        error = missing(recommender)
        if error is not None:
            raise error
    studied = recommender or searched(log)
    return Asked(
        recommender=recommender,
        settings=settings or {},
        studied=studied if RECOMMENDERS[studied].space else None,
        histories=histories,
        budget_dollars=None if budget is None else budget.dollars,
        budget_s=None if budget is None else budget.seconds,
    )


def searched(log: InteractionLog) -> str:
    """The recommender that a study searches where none is named: the last row that has a space."""
    names = default_rows(log).names
    return next((name for name in reversed(names) if RECOMMENDERS[name].space), names[-1])


def quote(log: InteractionLog, asked: Asked, prices: Prices, here: MachineType | None = None) -> Quote:
    """What a fit and a study would take on this machine and on each that can be rented.

    Args:
        log: the log.
        asked: what is wanted.
        prices: of machines that are not here.
        here: this machine; None: it is looked at and measured, for a fifth of a second.
    """
    here = here or this_machine()
    fit = fit_works(log, asked)
    trial = None if asked.studied is None else trial_work(log, asked)
    own = _on(here, fit, trial, asked, rented=False)
    trials = own["study"]["trials"]["likely"] if own["study"] else 0
    others = [_on(one, fit, trial, asked, rented=True, trials=trials) for one in prices.machines]
    needed = predicted(asked.recommender or asked.studied or "popularity", asked.settings, log).memory_bytes
    there = available_bytes()
    facts: dict[str, Any] = {
        "log_sha256": log.fingerprint,
        "events": len(log),
        "viewers": log.n_viewers,
        "items": log.n_items,
        "recommender": asked.recommender,
        "studied": asked.studied,
        "budget_dollars": asked.budget_dollars,
        "budget_s": asked.budget_s,
        "fit_cpu_s": round(sum(work.cpu_s for work in fit), 3),
        "trial_cpu_s": None if trial is None else round(trial.cpu_s, 3),
        "memory_bytes": needed,
        "memory_free_bytes": there,
        "here": own,
        "machines": others,
        "prices": {"source": prices.source, "dated": prices.dated},
        "buying": None if prices.gpu is None else buying(prices.gpu, prices.machines),
    }
    return Quote(fit=fit, trial=trial, facts=facts | {"verdict": verdict(facts)})


def fit_works(log: InteractionLog, asked: Asked) -> tuple[Work, ...]:
    """The processes of a fit: those that choose, then the one that stays."""
    if asked.recommender is not None:
        return (_here(fit_work(asked.recommender, asked.settings, log)),)
    names = default_rows(log, histories=asked.histories).names
    tried = [fit_work(name, {}, log, judged=True) for name in names]
    dearest = max(names, key=lambda name: predicted(name, {}, log).cpu_s)
    # Which one stays is not known yet: the dearest has won most tables so far.
    return (*tried, _here(fit_work(dearest, {}, log)))


def _here(work: Work) -> Work:
    """Work that needs no process of its own."""
    return replace(work, start_s=work.start_s - START_S)


def trial_work(log: InteractionLog, asked: Asked) -> Work:
    """What a trial takes: the middle of some that are drawn from the space."""
    name = asked.studied or ""
    space = RECOMMENDERS[name].space if asked.space is None else asked.space
    free = {key: values for key, values in space.items() if key not in asked.settings}
    random = generator(0, "quote", name)
    drawn = [dict(asked.settings), *({**draw(free, random), **asked.settings} for _ in range(_DRAWS))]
    works = [fit_work(name, settings, log, judged=True) for settings in drawn]
    return Work(
        network=median(work.network for work in works),
        other=median(work.other for work in works),
        # Workers start once, and stay; what is to be tried next takes a moment.
        start_s=_ASKING_S,
    )


def price_per_hour(machine: MachineType, *, rented: bool) -> float:
    """Dollars an hour: of electricity here, the cheaper price elsewhere."""
    return machine.least_price_per_hour if rented else electricity_dollars(_HOUR_S)


def _on(
    machine: MachineType,
    fit: Sequence[Work],
    trial: Work | None,
    asked: Asked,
    *,
    rented: bool,
    trials: float | None = None,
) -> dict[str, Any]:
    """What a machine says of it all.

    Args:
        machine: the machine.
        fit: the processes of a fit.
        trial: a trial of a study.
        asked: the budget.
        rented: whether it has to be paid and started.
        trials: how many trials a study is to have; None: as many as the budget pays for.
    """
    whole = walls_s(fit, machine)
    price = price_per_hour(machine, rented=rented)
    found = {
        "name": machine.name,
        "cores": machine.cores,
        "core_speed": round(machine.core_speed, 3),
        "network_speed": machine.network_speed,
        "price_per_hour": price if not rented else machine.price_per_hour,
        "spot_price_per_hour": machine.spot_price_per_hour,
        "fit": _cost(booted(whole) if rented else whole, price),
        "study": None,
    }
    if trial is not None:
        each, start = wall_s(trial, machine), wall_s(Work(start_s=START_S + fit[-1].start_s), machine)
        count = (
            _trials(each, price, asked) if trials is None else Range(low=trials, likely=trials, high=trials)
        )
        if trials is None and (asked.budget_s, asked.budget_dollars) != (None, None):
            # A budget is what it costs: what is not known is how many trials it pays for.
            spent = each.likely * count.likely
            taken = Range(low=spent, likely=spent, high=spent)
        else:
            taken = start + each.times(count.likely / machine.fits_at_once)
        found["study"] = _cost(booted(taken) if rented else taken, price) | {"trials": count.to_json(1)}
    return found


def _trials(each: Range, price: float, asked: Asked) -> Range:
    """How many trials a study's budget pays for."""
    bounds = []
    if asked.budget_s is not None:
        bounds.append(asked.budget_s)
    if asked.budget_dollars is not None and price > 0:
        bounds.append(asked.budget_dollars / price * _HOUR_S)
    if not bounds:
        return Range(low=TRIALS, likely=TRIALS, high=TRIALS)
    most = min(bounds)
    return Range(low=most / each.high, likely=most / each.likely, high=most / each.low)


def _cost(spent: Range, price: float) -> dict[str, Any]:
    return {"wall_s": spent.to_json(), "dollars": spent.times(price / _HOUR_S).to_json(6)}


def buying(card: Card, machines: Sequence[MachineType]) -> dict[str, Any] | None:
    """From how many hours a month a card of one's own is cheaper than renting: its JSON.

    Its price is spread over its life; each hour costs the electricity of the card and the machine around it.
    An hour of a rented GPU counts by how fast it is beside the card. None: no GPU is rented out.
    """
    own = electricity_dollars(_HOUR_S, card.watts)
    rents = {}
    for kind in ("spot", "on_demand"):
        found = [
            (price * card.network_speed / (one.network_speed * one.fits_at_once), one.name)
            for one in machines
            if one.network_speed
            and (price := one.price_per_hour if kind == "on_demand" else one.spot_price_per_hour) is not None
        ]
        if found:
            rent, name = min(found)
            saved = rent - own
            hours = card.price / card.life_months / saved if saved > 0 else None
            rents[kind] = {"than": name, "hours_a_month": None if hours is None else round(hours, 1)}
    if not rents:
        return None
    return {"card": card.name, "price": card.price, "life_months": card.life_months, **rents}


def verdict(facts: Mapping[str, Any]) -> str:
    """What to do, in a sentence or two."""
    here, kind = facts["here"], "study" if facts["here"]["study"] else "fit"
    there = facts["memory_free_bytes"]
    if there is not None and facts["memory_bytes"] > there:
        return (
            f"This machine has too little memory: {size_words(facts['memory_bytes'])} are needed, "
            f"{size_words(there)} are free."
        )
    likely = here[kind]["wall_s"]["likely"]
    ours = f"this machine finishes in {range_words(here[kind]['wall_s'])}, for {_paid(here[kind])}"
    quicker = [one for one in facts["machines"] if one[kind]["wall_s"]["likely"] < likely / 2]
    if not quicker or likely <= _PATIENCE_S:
        return f"Don't rent: {ours} of electricity."
    best = min(quicker, key=lambda one: one[kind]["dollars"]["likely"])
    theirs = f"{best['name']} would in {range_words(best[kind]['wall_s'])}, for {_paid(best[kind])}"
    return f"Rent if you are in a hurry: {theirs}; {ours} of electricity."


def _paid(cost: Mapping[str, Any]) -> str:
    return money(cost["dollars"]["likely"])


def range_words(told: Mapping[str, float]) -> str:
    """A duration with its range: `about 6 min (2 to 15 min)`; without one where it is known."""
    low, likely, high = (duration(told[name]) for name in ("low", "likely", "high"))
    return likely if low == high else f"about {likely} ({low} to {high})"


def duration(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 1:
        return "a second"
    for most, unit, words in ((100, 1, "s"), (6_000, 60, "min"), (48 * _HOUR_S, _HOUR_S, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {words}"
    return f"{seconds / 86_400:.0f} days"
