"""Taking new events into a fitted model."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

from matinee.answers.model import Model
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.recipes.fit import fit_model
from matinee.recipes.fit_options import FitOptions
from matinee.recommenders import make_recommender
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.update import update as updated


def update(model: Model, log: InteractionLog) -> Model:
    """The model as if it had been fitted on a log that has new events.

    `transitions` keeps the sums that it was solved from: only those of the new events are made, and the
    weights solved anew. Every other recommender is fitted anew with the model's settings and seed, and so is
    `transitions` where the log is not the old one with events added at the ends of histories, or where the
    sums hold what a viewer did who was deleted since, and so is every model by region; `facts["update"]` says
    so.

    Example:
        model = matinee.load("bundle/")
        model = matinee.update(model, matinee.read_log("ratings.csv"))
        model.save("bundle/")

    Args:
        model: a fitted model, with its histories.
        log: everything known now, the old events included; viewers and items may be new. Viewers who were
            deleted from the model are left out of it.

    Returns:
        A model of its own; nobody has judged it, and it is fitted on everything, whatever the old one was
        kept from.
    """
    log = forget(log, model.deleted)
    plain = model.name == Transitions.name and not model.facts.get("regions")
    if plain and not any(viewer in model.log.viewers for viewer in model.deleted):
        fresh = updated(model, log)
    else:
        why = "fitted anew: " + (
            "a viewer was deleted" if model.name == Transitions.name else f"{model.name} keeps no sums"
        )
        seed = int(model.facts.get("seed", 0))
        told = FitOptions(recommender=model.name, settings=model.config, seed=seed).by_region_as(model.facts)
        if told.by is not None:
            why = "fitted anew: by region no sums are kept"
            fresh = fit_model(log, told)
        else:
            fresh = make_recommender(model.name, model.config).fit(log, seed=seed)
        fresh = replace(fresh, facts={**fresh.facts, "update": why})
    facts = {
        "matinee": version("matinee"),
        "seed": model.facts.get("seed", 0),
        "fitted_on": "everything",
        "split": None,
        "metrics": {},
        "metrics_from": "nothing: this update was not judged; `matinee compare` judges",
    }
    return replace(fresh, facts={**fresh.facts, **facts}, deleted=model.deleted)
