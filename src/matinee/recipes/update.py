"""Taking new events into a fitted model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matinee.answers.model import Model
from matinee.core.run import Run
from matinee.core.threads import few_threads
from matinee.core.version import version
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.recipes.fit import fit_model
from matinee.recipes.fit_options import FitOptions
from matinee.recipes.rows import joined_of, note_of, trained_of
from matinee.recommenders import make_recommender
from matinee.recommenders.blend import Blend
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.network_warm import why_from_scratch
from matinee.recommenders.sequential import Sequential
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.update import update as updated


def update(model: Model, log: InteractionLog, *, run: Run | None = None) -> Model:
    """The model with the events of a log that it has not seen.

    `transitions` keeps the sums that it was solved from: only those of the new events are made, and the
    weights solved anew, as if it had been fitted on the log. `sequential` and `blend` go on from their last
    weights: the network learns from the new events and from some old ones, `transitions` goes on from its
    sums and `ials` from its factors; the blend's weights stay. Every other recommender is fitted anew with
    the model's settings and seed, and so are these where `why_anew` says why; `facts["update"]` repeats it.

    Example:
        model = matinee.load("bundle/")
        model = matinee.update(model, matinee.read_log("ratings.csv"))
        model.save("bundle/")

    Args:
        model: a fitted model, with its histories.
        log: everything known now, the old events included; viewers and items may be new. Viewers who were
            deleted from the model are left out of it.
        run: device and precision of what trains in steps, and where its checkpoints go.

    Returns:
        A model of its own; nobody has judged it, and it is fitted on everything, whatever the old one was
        kept from.
    """
    log = forget(log, model.deleted)
    fresh: Model
    why, seed = why_anew(model, log), int(model.facts.get("seed", 0))
    recommender: Any = make_recommender(model.name, model.config)
    if why:
        more: dict[str, Any] = {"run": run or Run()} if is_warm(model.name) else {}
        told = FitOptions(recommender=model.name, settings=model.config, seed=seed, **more)
        told = told.by_region_as(model.facts)
        fresh = recommender.fit(log, seed=seed, **more) if told.by is None else fit_model(log, told)
        fresh = replace(fresh, facts={**fresh.facts, "update": f"fitted anew: {why}"})
    elif model.name == Transitions.name:
        fresh = updated(model, log)
    else:
        with few_threads(recommender.needs(log).cpu_s):
            fresh = recommender.update(model, log, seed=seed, run=run)
    facts = {
        "matinee": version("matinee"),
        "seed": model.facts.get("seed", 0),
        "fitted_on": "everything",
        "split": None,
        "metrics": {},
        "metrics_from": "nothing: this update was not judged; `matinee compare` judges",
    }
    if is_warm(model.name):
        facts |= {"note": note_of(fresh), "trained": trained_of(fresh), "joined": joined_of(fresh)}
        facts["warm"] = None if why else {"refreshes": refreshes_of(model) + 1}
    return replace(fresh, facts={**fresh.facts, **facts}, deleted=model.deleted)


def why_anew(model: Model, log: InteractionLog) -> str:
    """Why a model takes in the events of a log by a new fit; empty where it goes on from what it has."""
    if model.facts.get("regions"):
        return "by region no sums are kept"
    if model.name != Transitions.name and not is_warm(model.name):
        return f"{model.name} keeps no sums"
    if any(viewer in model.log.viewers for viewer in model.deleted):
        return "a viewer was deleted"
    if not is_warm(model.name):
        return ""
    config = make_recommender(model.name, model.config).config
    network: SequentialConfig = config.sequential if model.name == Blend.name else config
    return why_from_scratch(network, model.parts[Sequential.name], model.log, log)


def is_warm(name: str) -> bool:
    """Whether a recommender goes on from its last weights."""
    return name in (Blend.name, Sequential.name)


def refreshes_of(model: Model) -> int:
    """How many times in a row a model has gone on from its last weights since it was fitted from scratch."""
    return int((model.facts.get("warm") or {}).get("refreshes", 0))
