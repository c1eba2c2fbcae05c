"""Dividing a log into what is learnt from, what settings are chosen on, and what is scored once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from matinee.core.errors import SettingsError, unknown_name
from matinee.core.types import Bool, Ragged
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.log import InteractionLog
from matinee.data.meaning import RATING
from matinee.data.negatives import negative_times_of
from matinee.data.protocols import PROTOCOLS, Division, DivisionOptions
from matinee.data.queries import Queries, with_values

TARGETS = ("next", "successive")


@dataclass(frozen=True, kw_only=True)
class Split:
    """A log divided by a protocol.

    Attributes:
        log: the whole log.
        protocol: the protocol's name.
        why: the protocol and the reason for it, one sentence.
        targets: in a time-split, "next" or "successive".
        seed: seed of what was drawn.
        division: masks and queries.
    """

    log: InteractionLog
    protocol: str
    why: str
    targets: str
    seed: int
    division: Division

    @cached_property
    def train(self) -> InteractionLog:
        """What a fit may see while settings are chosen; viewers and catalogue keep their codes."""
        return self._part(self.division.train, self.division.negatives)

    @cached_property
    def train_and_validation(self) -> InteractionLog:
        """What a last fit may see: everything but the test."""
        return self._part(self.division.both, self.division.both_negatives)

    @property
    def validation(self) -> Queries:
        """The queries that settings, and the recommender, are chosen on."""
        return self.division.validation

    @cached_property
    def test(self) -> Queries:
        """The queries that are scored once: viewers with a past at the moment of the split."""
        return self.division.test.take(self.division.past)

    @cached_property
    def newcomers(self) -> Queries:
        """Test queries of viewers without a past at the moment of the split: a table of their own."""
        return self.division.test.take(~self.division.past)

    @property
    def refit(self) -> bool:
        """Whether the protocol answers the test by a fit on training and validation together."""
        return self.division.refit

    @property
    def left_out(self) -> int:
        """Test targets left out because the viewer's history has them already."""
        return self.division.test.left_out

    def facts(self) -> dict[str, Any]:
        """What a bundle that was fitted on `train_and_validation` says of the split: plain JSON values."""
        return {
            "protocol": self.protocol,
            "hold_out": True,
            "targets": self.targets,
            "seed": self.seed,
            "log_sha256": self.log.fingerprint,
            # What is drawn is drawn by the viewers' codes: another order of them is another split.
            "viewers_sha256": fingerprint_ids(self.log.viewers),
        }

    def without(self, viewers: Collection[str]) -> Split:
        """The same split, in which nobody asks for some viewers: those who were deleted after a fit.

        Args:
            viewers: ids; those that the log lacks are ignored.
        """
        gone = self.log.viewers.codes(sorted(viewers))
        gone = gone[gone >= 0]
        if not len(gone):
            return self
        whole = self.division
        asked = ~np.isin(whole.test.viewers, gone)
        validation = whole.validation.take(~np.isin(whole.validation.viewers, gone))
        return replace(
            self,
            division=replace(
                whole, validation=validation, test=whole.test.take(asked), past=whole.past[asked]
            ),
        )

    def _part(self, mask: Any, negatives: Ragged | None) -> InteractionLog:
        return replace(
            self.log.keep(mask), negatives=negatives, negative_times=negative_times_of(self.log, negatives)
        )


def split_log(
    log: InteractionLog,
    protocol: str | None = None,
    *,
    targets: str = "next",
    seed: int = 0,
    test: InteractionLog | None = None,
) -> Split:
    """Divide a log.

    Args:
        log: the log.
        protocol: `leave-one-out`, `time-split`, `random-holdout`, `new-viewers` or `given`; None: the one
            that the log supports best.
        targets: in a time-split, "next": each viewer's next event; "successive": each later one in turn, with
            the history up to it.
        seed: seed of the protocols that draw.
        test: the test log of `given`.

    Raises:
        SettingsError: an unknown protocol or kind of targets.
        InputError: the log does not support the protocol.
    """
    if protocol is None:
        protocol, reason = ("given", "a test file was given") if test is not None else default_protocol(log)
    else:
        reason = "as asked"
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    _check(log, protocol, targets, test)
    division = PROTOCOLS[protocol](log, DivisionOptions(targets=targets, seed=seed, test=test))
    if log.target == RATING:
        division = _with_told_values(log, division)
    if not len(division.test):
        raise SettingsError(
            f"Nothing to judge by: {protocol} leaves no test target, because no viewer has three events with "
            "a fair target among the last. Bring a longer log, or another protocol."
        )
    why = f"{protocol}, {reason}: {division.words}."
    return Split(log=log, protocol=protocol, why=why, targets=targets, seed=seed, division=division)


def default_protocol(log: InteractionLog) -> tuple[str, str]:
    """The protocol that a log supports best, and the reason in words."""
    times = log.histories.times
    if times is not None and len(times) and times.min() < times.max():
        return "time-split", "because the log has real times, and leaving one out flatters"
    if log.ordered:
        return "leave-one-out", "because the log has an order but no times (figures by time would be lower)"
    return "random-holdout", "because the log has neither times nor an order"


def tied_times(log: InteractionLog) -> float | None:
    """The share of events whose time another event of the same viewer has too; None without times."""
    histories = log.histories
    if histories.times is None or not len(log):
        return None
    same = np.diff(histories.times) == 0
    inner = histories.offsets[1:-1]
    same[inner[(inner > 0) & (inner < len(log))] - 1] = False
    tied = np.zeros(len(log), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    return float(tied.mean())


def _with_told_values(log: InteractionLog, division: Division) -> Division:
    """The same division of a log whose target is the value: its queries know what was given."""
    rows = log.histories.rows().astype(np.int64)

    def told(queries: Queries, held: Bool) -> Queries:
        if queries.values is not None:
            return queries
        return with_values(queries, rows[held], log.histories.keep(held))

    return replace(
        division,
        validation=told(division.validation, ~division.train),
        test=told(division.test, ~division.both),
    )


def _check(log: InteractionLog, protocol: str, targets: str, test: InteractionLog | None) -> None:
    if targets not in TARGETS:
        raise unknown_name("kind of targets", targets, TARGETS)
    if targets != "next" and protocol != "time-split":
        raise SettingsError(f"Successive targets belong to a time-split; the protocol here is {protocol}.")
    if test is not None and protocol != "given":
        raise SettingsError(f"A test file belongs to the protocol given; the protocol here is {protocol}.")
    if protocol == "leave-one-out" and not log.ordered:
        raise SettingsError(
            "leave-one-out needs an order of events, and this log has neither times nor an order column: "
            "take random-holdout."
        )
    if test is not None and log.target == RATING and test.histories.values is None:
        raise SettingsError(
            "The test has no values to judge predictions by: say which column they are in "
            "(--columns value=NAME)."
        )
