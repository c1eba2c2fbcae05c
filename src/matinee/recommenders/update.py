"""Taking new events into a fitted `transitions`: only their own sums are made, then the weights solved anew.

The sums add up over predicted events, and a new event's features reach back into what its viewer did
before. So the sums of a longer log are the old sums plus those over the new events alone, reckoned on the
whole histories of the viewers who have any. What the noes take from the targets is reckoned for both logs,
and the difference added: it is one sparse product. Items and viewers may be new, and codes may differ: ids
tell who is who.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from matinee.answers.model import Model, model_of
from matinee.core.errors import InputError
from matinee.core.promise import Part
from matinee.core.types import Bool, Int64
from matinee.recommenders.cooccurrence import positions
from matinee.recommenders.decayed_gram import Sums, from_arrays, sums_of
from matinee.recommenders.transitions import Transitions, TransitionsConfig, noes_of, windows_of


def update(model: Model, log: Any) -> Model:
    """The model as if it had been fitted on `log`, from its kept sums.

    Where `log` is not the old log with events added at the ends of histories, or the sums were not kept, it
    is fitted from scratch, and `facts["update"]` of the result says why.

    Args:
        model: of `transitions`; its `log` is the one that it was fitted on.
        log: everything known now, the old events included.

    Raises:
        InputError: the model is no `transitions`.
    """
    if model.name != Transitions.name:
        raise InputError(f"Only transitions takes in new events; found a model of {model.name!r}.")
    part, why = updated_part(model.parts[model.name], model.config, model.log, log)
    updated = model_of(model.name, model.config, part, log)
    return replace(updated, facts={"update": why}) if why else updated


def updated_part(part: Part, settings: Mapping[str, Any], old: Any, log: Any) -> tuple[Part, str]:
    """A fitted `transitions` as if it had been fitted on `log`, from its kept sums.

    Args:
        part: as it was fitted.
        settings: of its fit.
        old: what it was fitted on.
        log: everything known now.

    Returns:
        The part, and why it was fitted from scratch; empty where it was not.
    """
    recommender = Transitions(**settings)
    fresh = new_events(old, log) if part.sums and log.ordered else None
    if fresh is None:
        return recommender.fit(log).parts[recommender.name], _why_anew(part, log)
    sums = updated_sums(from_arrays(part.sums), recommender.config, old, log, fresh)
    return recommender.part(sums, log), ""


def _why_anew(part: Part, log: Any) -> str:
    if not log.ordered:
        return "fitted anew: the log has no order"
    if not part.sums:
        return f"fitted anew: its sums were {part.settings.get('sums', 'not kept')}"
    return "fitted anew: the past of the log has changed"


def updated_sums(sums: Sums, config: TransitionsConfig, old: Any, log: Any, fresh: Bool) -> Sums:
    """The sums of `log` from those of `old` and the events of `log` that are `fresh`."""
    codes = log.items.codes(old.items.arrow).astype(np.int64)
    moved = sums.renamed(codes, log.n_items)
    histories = log.histories
    active = np.unique(histories.rows()[fresh])
    theirs = histories.take(active)
    predicted = fresh[np.isin(histories.rows(), active)]
    added = moved + sums_of(theirs, log.n_items, config.decays, windows_of(config), predicted)
    before, now = noes_of(old, config), noes_of(log, config)
    if before is not None:
        added = added.less(-_renamed(before, codes, log.n_items, len(config.decays)))
    return added.less(now)


def _renamed(noes: Any, codes: Int64, n_items: int, rates: int) -> Any:
    """What the noes of the old log take, where item i has become item `codes[i]`."""
    import scipy.sparse

    cells = noes.tocoo()
    rate, item = np.divmod(cells.col, len(codes))
    places = (codes[cells.row], rate * n_items + codes[item])
    return scipy.sparse.csr_matrix((cells.data, places), shape=(n_items, rates * n_items))


def new_events(old: Any, log: Any) -> Bool | None:
    """Which events of `log` come after those of `old`: bool, shape (events,).

    Returns:
        None where `log` does not begin, viewer by viewer, with the events of `old` as they were.
    """
    items = log.items.codes(old.items.arrow)
    viewers = log.viewers.codes(old.viewers.arrow).astype(np.int64)
    before = old.histories
    if (items < 0).any() or (viewers[before.lengths > 0] < 0).any():
        return None
    counts = np.zeros(len(log.histories), np.int64)
    counts[viewers[viewers >= 0]] = before.lengths[viewers >= 0]
    if (counts > log.histories.lengths).any():
        return None
    fresh = positions(log.histories) >= np.repeat(counts, log.histories.lengths)
    kept = log.histories.keep(~fresh).take(viewers)
    return fresh if _same(kept, before, items) else None


def _same(kept: Any, before: Any, items: Any) -> bool:
    """Whether two histories of the same viewers teach the same."""
    if not np.array_equal(kept.items, items[before.items]):
        return False
    pairs = ((kept.weights, before.weights), (kept.targets, before.targets))
    return all((a is None) == (b is None) and (a is None or np.array_equal(a, b)) for a, b in pairs)
