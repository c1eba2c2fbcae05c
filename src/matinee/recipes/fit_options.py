"""How a fit is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from matinee.core.errors import SettingsError, unknown_name
from matinee.core.run import Run
from matinee.data.protocols import PROTOCOLS
from matinee.recipes.rows import DEFAULT_ROWS, PEOPLE, missing, require_place
from matinee.recommenders import make_recommender

# A region of fewer viewers teaches a model of its own too little.
LEAST_VIEWERS = 200


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to fit.

    Attributes:
        recommender: its name; None: the one that validation chooses.
        settings: settings that differ from its defaults.
        hold_out: a protocol whose test events the fit must not see; None: fit on everything.
        seed: seed of everything random.
        histories: whether the model may answer from, and the bundle keep, people's histories.
        run: how a recommender that trains in steps is fitted. Where it has checkpoints, everything that is
            finished is kept there, and a fit that was broken off goes on from it.
        resume: go on from the unfinished fit beside the bundle, instead of starting afresh.
        from_store: what tells the store that the log is from; a server on that store has nothing to take in
            of the bundle. Empty: it is from files.
        read_ms: when that store's events were read.
        by: a column of the viewers' table: each of its regions that is large enough, and that validation says
            is better off with it, gets a model of its own beside the shared one. None: one model for all.
        least_viewers: a region of fewer viewers shares; used with `by` alone.
        region_settings: settings of a region's own model, by region; others take `settings`.
    """

    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    hold_out: str | None = None
    seed: int = 0
    histories: bool = True
    run: Run = field(default_factory=Run)
    resume: bool = False
    from_store: str = ""
    read_ms: int = 0
    by: str | None = None
    least_viewers: int = LEAST_VIEWERS
    region_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def by_region_as(self, facts: Mapping[str, Any]) -> FitOptions:
        """The same by region, if an earlier fit was.

        Args:
            facts: of that fit's model.
        """
        told = facts.get("regions")
        return replace(self, by=told["column"], least_viewers=told["least_viewers"]) if told else self

    def check(self) -> None:
        """Refuse what no log could make right.

        Raises:
            SettingsError: an unknown recommender, setting or protocol, settings of no recommender, a
                recommender that cannot do without histories, or a device or precision that is not here.
            MissingExtra: what the recommender needs is not installed.
        """
        if self.recommender is not None:
            config = make_recommender(self.recommender, self.settings).config
            error = missing(self.recommender)
            if error is not None:
                raise error
            asked = {self.recommender, *getattr(config, "partners", ())}
            if not self.histories and asked.intersection(PEOPLE):
                raise SettingsError(
                    f"{self.recommender} answers from other people's histories: keep them in the bundle "
                    "(leave --no-histories out), or take another recommender."
                )
        elif self.settings:
            raise SettingsError("Settings belong to a recommender: name it (--recommender NAME).")
        if self.hold_out is not None and self.hold_out not in PROTOCOLS:
            raise unknown_name("protocol", self.hold_out, PROTOCOLS)
        if self.by is None and self.least_viewers != LEAST_VIEWERS:
            raise SettingsError(
                "--least-viewers is about regions: say which column tells them (--by COLUMN)."
            )
        if self.least_viewers < 1:
            raise SettingsError(f"--least-viewers is {self.least_viewers}: expected at least 1.")
        require_place([self.recommender] if self.recommender else DEFAULT_ROWS, self.run)
