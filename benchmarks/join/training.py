"""The networks that are trained with a few passes each: plainly, and in each of the ways of learnt.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from join.learnt import Beside, ClosedForm, closed_form, learn, part_of
from join.parts import Fitted, Shelf
from join.start import start_as
from join.ways import FLOOR
from matinee.core.promise import Part
from matinee.core.seeds import generator
from matinee.core.settings import config_values
from matinee.recommenders.network_settings import SequentialConfig, resolved

FOLDS = 3
SHARE = 0.3
# Of `transitions`: a form that was fitted on a share of the viewers needs that share of its ridge.
_RIDGE = 300.0


def trained(shelf: Shelf, passes: int) -> Iterator[tuple[str, Fitted]]:
    """Each network by its name, the plain one first; its cost is with the closed forms that only it needs."""
    log = shelf.log
    config = resolved(SequentialConfig(passes=passes), log)
    values = config_values(config)
    ours = Shelf(folder=shelf.folder, log=log, called=f"{shelf.called}, nothing held out")

    def kept(name: str, make: Callable[[], Part], more: float = 0.0) -> tuple[str, Fitted]:
        found = ours.part(name, values, make)
        return name, Fitted(part=found.part, scorer=found.scorer, fit_cpu_s=round(found.fit_cpu_s + more, 1))

    yield kept("plain", lambda: learn(config, log))
    folds = generator(0, "folds of viewers").integers(0, FOLDS, len(log.histories))
    apart = [_without(shelf, folds, fold) for fold in range(FOLDS)]
    cost = sum(part.fit_cpu_s for part in apart)
    forms = [_form(part, log.n_items) for part in apart]
    yield kept(
        "knows it, out of fold", lambda: learn(config, log, beside=Beside(forms=forms, folds=folds)), cost
    )
    forms = []
    whole = [_form(shelf.fitted("transitions", {}), log.n_items)]
    same = np.zeros(len(log.histories), np.int64)
    yield kept("learns its residual", lambda: learn(config, log, beside=Beside(forms=whole, folds=same)))
    taught = Beside(forms=whole, folds=same, share=SHARE)
    yield kept("is taught by it", lambda: learn(config, log, beside=taught))
    own = shelf.fitted("transitions", {"decays": config.decays})
    form = _form(own, log.n_items)
    yield kept("starts as it", lambda: learn(config, log, start=_start(form, config, log)), own.fit_cpu_s)
    yield kept("starts as it, not trained", lambda: _untrained(form, config, log), own.fit_cpu_s)


def _without(shelf: Shelf, folds: Any, fold: int) -> Fitted:
    """The closed form of all viewers but those of a fold."""
    log = shelf.log.keep(folds[shelf.log.histories.rows()] != fold)
    some = Shelf(folder=shelf.folder, log=log, called=f"{shelf.called} without fold {fold} of {FOLDS}")
    return some.fitted("transitions", {"ridge": _RIDGE * (FOLDS - 1) / FOLDS})


def _form(fitted: Fitted, n_items: int) -> ClosedForm:
    return closed_form(fitted.part, n_items, FLOOR)


def _start(form: ClosedForm, config: SequentialConfig, log: Any) -> Callable[[Any], None]:
    return lambda network: start_as(form, config, log, network)


def _untrained(form: ClosedForm, config: SequentialConfig, log: Any) -> Part:
    """The network as it starts."""
    import torch

    from matinee.recommenders.network_fit import network_of

    network = network_of(config, log.n_items, ordered=True, seed=0)
    with torch.no_grad():
        start_as(form, config, log, network)
    return part_of(config, log, network.state_dict())
