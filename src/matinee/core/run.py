"""How a fit goes, as against what is fitted: where, how precisely, who is told, when it stops, what is kept.

A recommender's config says what the model is; a `Run` never changes that, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matinee.core.processes import ALONE, Processes
from matinee.core.promise import Part


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a fit says of itself now and then.

    Attributes:
        share: how much of the planned work is done, 0 to 1.
        doing: what is being done, such as "pass 3 of 12".
        loss: mean training loss of late; None before there is one.
        validation: the latest figure on held-out events, by name, such as ("ndcg@10", 0.17); None before.
        left_s: wall seconds to the planned end, as far as one can tell; None at first.
        cpu_s: CPU-seconds spent so far, on all cores: what it costs.
        passes: how many passes are made, the last of which `validation` is of, and how many are planned;
            None: it makes none.
    """

    share: float
    doing: str
    loss: float | None = None
    validation: tuple[str, float] | None = None
    left_s: float | None = None
    cpu_s: float = 0.0
    passes: tuple[int, int] | None = None


class Kept(Protocol):
    """Parts that were fitted on the same log before, by other rows of a comparison or by this very fit."""

    def find(
        self, name: str, settings: Mapping[str, Any], seed: int
    ) -> tuple[Part, Mapping[str, Any]] | None:
        """A fitted part, and what was said of it; None where nobody fitted it.

        Args:
            name: the recommender that it is a part of, such as "transitions".
            settings: every setting of its config (`config_values`).
            seed: seed of its fit.
        """

    def keep(
        self, name: str, settings: Mapping[str, Any], seed: int, part: Part, facts: Mapping[str, Any]
    ) -> None:
        """Keep a part for whoever needs it next.

        Args:
            name: the recommender that it is a part of.
            settings: every setting of its config.
            seed: seed of its fit.
            part: the part.
            facts: plain JSON values: `cpu_s` and `wall_s`, what its fit took, where known; `peak_rss_mb`; and
                whatever the one who finds it needs to know.
        """


def _never() -> bool:
    return False


def _silent(step: Step) -> None:
    del step


@dataclass(frozen=True, kw_only=True)
class Run:
    """How one fit goes.

    Attributes:
        device: "auto", "cpu", "gpu", or a device of torch's such as "cuda:0".
        precision: "auto" (bf16 where the device has units for it), "float32" ("fp32"), "bfloat16" ("bf16").
        checkpoints: folder that checkpoints go to, and that an interrupted fit goes on from; None: none.
        checkpoint_every_s: wall seconds from one checkpoint to the next.
        should_stop: asked between steps; once it says yes, the fit saves a checkpoint and raises `Stopped`.
        tell: called with a `Step` about once a second.
        record: whether a GPU's steps are recorded and replayed (CUDA graphs) where that pays.
        kept: where parts that were fitted on this log are found and kept; None: nowhere.
        processes: which of the processes that train the network together this is.
    """

    device: str = "auto"
    precision: str = "auto"
    checkpoints: Path | None = None
    checkpoint_every_s: float = 30.0
    should_stop: Callable[[], bool] = _never
    tell: Callable[[Step], None] = _silent
    record: bool = True
    kept: Kept | None = None
    processes: Processes = ALONE
