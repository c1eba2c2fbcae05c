"""Experiments: which bundle answers whom, the same one for the same viewer every time.

An experiment is kept in the store's note `experiments`, a list of JSON objects as `Experiment.to_json` writes
them, so that every process splits viewers alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.refusals import Refusal

EXPERIMENTS_NOTE = "experiments"
_SPREAD = 2**64


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A comparison of bundles on living people.

    Attributes:
        name: what it is called; the split depends on it.
        arms: name of an arm -> the bundle that answers there, in the order of the shares.
        shares: name of an arm -> its share of the viewers; they add up to 1.
        alias: whom it concerns: askers of this alias.
        running: whether it splits viewers now.
        shadow: a bundle that is asked too and whose answer nobody sees, only how much it differs; or None.
        since_ms: when it began.
    """

    name: str
    arms: Mapping[str, str]
    shares: Mapping[str, float]
    alias: str = DEFAULT_ALIAS
    running: bool = True
    shadow: str | None = None
    since_ms: int = 0

    def bundles(self) -> set[str]:
        """Bundles that it asks; none once it is over."""
        if not self.running:
            return set()
        return {*self.arms.values(), *(() if self.shadow is None else (self.shadow,))}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "arms": dict(self.arms), "shares": dict(self.shares)}


def arm_of(secret: bytes, experiment: Experiment, user: str) -> str:
    """The arm that a viewer is in: the same one as long as the shares stay; "" where there are none.

    Args:
        secret: the store's key: nobody else can foretell an arm.
        experiment: name and shares.
        user: the viewer.
    """
    key = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
    text = f"{len(experiment.name)}:{experiment.name}{user}".encode("utf-8", "replace")
    digest = blake2b(text, key=key, digest_size=8, person=b"matinee arm").digest()
    place = int.from_bytes(digest, "big") / _SPREAD
    end, arm = 0.0, ""
    for arm, share in experiment.shares.items():
        end += share
        if place < end:
            return arm
    return arm


def read_experiments(note: str | None) -> tuple[Experiment, ...]:
    """The experiments of the store's note.

    Raises:
        Refusal: it is not a list of experiments; the sentence says what is wrong.
    """
    if note is None:
        return ()
    try:
        told = json.loads(note)
        found = tuple(Experiment(**one) for one in told)
    except (ValueError, TypeError) as error:
        raise Refusal(f"The store's note 'experiments' is not what matinee writes: {error}.", 503) from error
    for one in found:
        check(one)
    return found


def write_experiments(experiments: Sequence[Experiment]) -> str:
    """The text of the note.

    Raises:
        Refusal: two have one name, or two split one alias at a time, or one makes no sense.
    """
    for one in experiments:
        check(one)
    names = [one.name for one in experiments]
    if len(set(names)) < len(names):
        raise Refusal("Two experiments have the same name: give each its own.")
    split = [one.alias for one in experiments if one.running and one.arms]
    if len(set(split)) < len(split):
        raise Refusal("Two experiments split the viewers of one alias at a time: end one of them first.")
    return json.dumps([one.to_json() for one in experiments], sort_keys=False)


def check(experiment: Experiment) -> None:
    """Refuse an experiment that makes no sense.

    Raises:
        Refusal: arms and shares do not fit, or the shares do not add up to 1.
    """
    name, shares = experiment.name, experiment.shares
    if not name or "/" in name:
        raise Refusal(f"An experiment's name is a text without '/', found {name!r}.")
    if set(shares) != set(experiment.arms):
        raise Refusal(f"Experiment {name!r}: arms are {list(experiment.arms)}, shares are of {list(shares)}.")
    if any("/" in arm or not arm for arm in shares):
        raise Refusal(f"Experiment {name!r}: an arm's name is a text without '/', found {list(shares)}.")
    if shares and (min(shares.values()) < 0 or abs(sum(shares.values()) - 1.0) > 1e-6):
        raise Refusal(f"Experiment {name!r}: shares add up to 1, found {dict(shares)}.")
    if not shares and experiment.shadow is None:
        raise Refusal(f"Experiment {name!r} has neither arms nor a shadow.")
