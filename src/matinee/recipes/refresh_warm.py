"""When a daily run goes on from the bundle in use, and when it fits from scratch.

Going on is cheap, and drifts: after so many runs in a row, or once the gate has refused what came of it, a
fit from scratch is due. So it is where the bundle in use is of another kind than was asked for, where
somebody was deleted whom it had learnt from, and where too much is new (`matinee.recipes.update.why_anew`).
"""

from __future__ import annotations

import json
from pathlib import Path

from matinee.answers.model import Model
from matinee.data.log import InteractionLog
from matinee.recipes.refresh_folder import REFUSED_NOTE
from matinee.recipes.store_log import with_store
from matinee.recipes.update import is_warm, refreshes_of, why_anew
from matinee.recommenders.transitions import Transitions
from matinee.serve.deleted_viewers import deleted_of
from matinee.serve.ready_bundle import created_of

MOST_REFRESHES = 30


def why_from_scratch(used: Model, log: InteractionLog, place: Path, *, asked: bool, alike: bool) -> str:
    """Why a run fits from scratch, a sentence; empty where it goes on from the bundle in use.

    Args:
        used: the bundle in use.
        log: everything known now.
        place: where runs keep what they need.
        asked: whether somebody asked for it.
        alike: whether the bundle in use was fitted as this run is to fit.
    """
    if asked:
        return "it was asked for"
    if not alike:
        return "the bundle in use was fitted with another recommender or other settings"
    if used.context.histories is None:
        return "the bundle in use keeps no histories"
    drifted = _drifted(used, place) if is_warm(used.name) else ""
    # An update of `transitions` is exact, and tells by itself where its sums are of no use.
    return drifted or ("" if used.name == Transitions.name else why_anew(used, log))


def deleted_from(used: Model, url: str) -> bool:
    """Whether a store has deleted somebody whom a bundle had learnt from."""
    found = with_store(url, lambda store: deleted_of(store, used, created_of(used.facts)))
    return any(viewer in used.log.viewers for viewer in found)


def _drifted(used: Model, place: Path) -> str:
    if refused(place, used):
        return "the last run went on from the bundle in use, and the gate refused it"
    if refreshes_of(used) >= MOST_REFRESHES:
        return f"the bundle in use has gone on {refreshes_of(used)} times in a row"
    return ""


def note_refusal(place: Path, used: Model) -> None:
    """Write down that the gate refused what went on from a bundle."""
    (place / REFUSED_NOTE).write_text(json.dumps({"instead_of": used.fingerprint}), encoding="utf-8")


def refused(place: Path, used: Model) -> bool:
    """Whether the gate refused what went on from this bundle."""
    note = place / REFUSED_NOTE
    if not note.exists():
        return False
    try:
        return bool(json.loads(note.read_text(encoding="utf-8"))["instead_of"] == used.fingerprint)
    except (ValueError, KeyError, TypeError):
        # Half a note, of a run that was killed: it had been about to say so.
        return True
