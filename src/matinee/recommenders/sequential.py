"""A causal transformer over a viewer's history, trained to foretell every next event.

Kang and McAuley 2018 (SASRec) with what has since proved to matter: a softmax over the whole catalogue
instead of one negative (Klenitskiy and Vasilev 2023), item vectors that start from what is watched near what
(start_vectors.py), attention that decays with distance from the first step (Press et al. 2022), gated blocks
(LiGR, Borisyuk et al. 2025), one dropout mask a history, weights averaged along the way. It stops when events
held back from the fit (held_out.py) are no longer foretold better. Answers come from
`matinee.answers.network`, without torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from matinee.answers.context import context_of
from matinee.answers.model import Model, model_of
from matinee.answers.scorers import make_scorer
from matinee.core.errors import MissingExtra
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.run import Run
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.recommenders.held_out import HeldOut, hold_out, without
from matinee.recommenders.network_cost import network_needs
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.network_warm import Warm, warm_of
from matinee.recommenders.short_histories import begins, hold_out_for


class Sequential:
    """What is watched next, by attention over what was watched before.

    Args:
        settings: fields of `SequentialConfig` that differ from its defaults.
    """

    name = "sequential"
    Config = SequentialConfig
    trains: ClassVar[bool] = True
    extra: ClassVar[str] = "network"
    space: ClassVar[Space] = {
        "width": Choice((32, 64, 96, 128)),
        "layers": Choice((1, 2, 3)),
        "decays": Choice(((0.9,), (0.6, 0.95), (0.8, 0.98), (0.5, 0.8, 0.95, 0.99))),
        "positions": Choice(("distance", "steps", "places")),
        "gated": Choice((False, True)),
        "longest": Choice((50, 100, 200)),
        "dropout": Span(low=0.0, high=0.6),
        "item_dropout": Span(low=0.0, high=0.6),
        "smoothing": Choice((0.0, 0.1)),
        "temperature": Span(low=0.3, high=2.0, log=True),
        "passes": Choice((4, 7, 10, 14)),
        "rate": Span(low=1e-3, high=3e-2, log=True),
        "batch_events": Choice((1024, 2048, 4096)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(SequentialConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take; loads no torch."""
        return network_needs(self.config, log)

    def fit(self, log: Log, *, seed: int = 0, run: Run | None = None) -> Model:
        """Fit on a log.

        Raises:
            TooLarge: the fit would need more memory than there is.
            MissingExtra: torch is not installed.
            Stopped: the run was asked to stop.
        """
        held = self.held(log, seed)
        return model_of(self.name, config_values(self.config), self.part(log, held, seed, run or Run()), log)

    def update(self, model: Model, log: Log, *, seed: int = 0, run: Run | None = None) -> Model:
        """Go on from a fitted model to a log that has new events.

        Raises:
            TooLarge: the fit would need more memory than there is.
            MissingExtra: torch is not installed.
            Stopped: the run was asked to stop.
        """
        warm = warm_of(model.parts[self.name], model.log, log)
        held = hold_out(log, seed, warm.fresh)
        part = self.part(log, held, seed, run or Run(), warm)
        return model_of(self.name, config_values(self.config), part, log)

    def held(self, log: Log, seed: int) -> HeldOut:
        """What a fit holds back: with an opening, some newcomers whole."""
        return hold_out_for(self.config, log, seed)

    def part(self, log: Log, held: HeldOut, seed: int, run: Run, warm: Warm | None = None) -> Part:
        """The network fitted on all but what is held out; gone on from where it is warm."""
        needed = self.needs(log).memory_bytes * run.processes.local_size
        require(needed, f"sequential over {log.n_items:,} items", "set a smaller width or batch_events")
        try:
            from matinee.recommenders.network_fit import fit_network
        except ImportError as error:
            raise MissingExtra("sequential", self.extra) from error
        part = fit_network(self.config, log, held, seed, run, warm)
        if warm is not None:
            # Whoever came lately has been learnt from already: what was found of them then stays.
            known = bool(warm.part.settings.get("begins", False))
        elif held.first is not None:
            taught = without(log, held)
            known = begins(held.first, make_scorer(part, context_of(taught)), taught)
        else:
            return part
        return replace(part, settings={**part.settings, "begins": known})
