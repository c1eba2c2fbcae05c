"""iALS: implicit-feedback matrix factorisation by alternating least squares.

Hu, Koren, Volinsky 2008, "Collaborative filtering for implicit feedback datasets", with the advice of Rendle
et al. 2021, "Revisiting the performance of iALS on item recommendation benchmarks": what nobody watched is a
zero of weight `unobserved`, and a row's ridge grows with how often it was seen. The loss over viewers u and
items i, with s = 1 where u watched i, is

sum over watched (s - x_u . y_i)^2 + unobserved * sum over all (x_u . y_i)^2
    + negative * sum over turned down (x_u . y_i)^2
    + ridge * sum over u of (n_u + unobserved * items) ** exponent * |x_u|^2, and likewise over items.

Only the items' factors are kept: an asker's are solved from their history (`matinee.answers.factors`).

Where `friends` is above 0 and the log knows friends, a friend is one more thing that a viewer may have: each
viewer has a column beside the items, with an entry of weight `friends` times the link's for each friend, so
that viewers with the same friends come to lie near each other, and near what these watch (collective matrix
factorisation; Ma et al. 2008, "SoRec"). These columns' factors are kept too, as tensor `links`, and an asker
who has friends and no history is answered from them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, hstack

from matinee.answers.factors import ridges, solve_rows
from matinee.answers.links import links_of
from matinee.answers.model import Model, model_of
from matinee.answers.taste import Sparse, taste_matrix
from matinee.answers.turned_down import noes_matrix, taught, turned
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.core.types import Float32
from matinee.recommenders.ease import UNORDERED


@dataclass(frozen=True, kw_only=True)
class IalsConfig:
    """Settings of `Ials`.

    Attributes:
        factors: numbers per item and viewer; more tells finer tastes apart and costs their square.
        epochs: passes over the log; more converges further.
        unobserved: weight of what was not watched, as a zero; more holds scores of rare items down.
        ridge: pull of all factors to zero; more is smoother.
        exponent: how a row's ridge grows with its events, 0 not at all, 1 in proportion.
        decay: what each later event multiplies an event of the asker's history with; less forgets faster.
            Not used where the log has no order.
        negative: weight of what was turned down, as a zero; more keeps it further from the like-minded.
        friends: what a friend weighs beside an event; more trusts the company that a viewer keeps, 0 does
            not look at it. Not used where the log has no friends.
    """

    factors: int = 64
    epochs: int = 8
    unobserved: float = 0.1
    ridge: float = 0.01
    exponent: float = 1.0
    decay: float = 0.8
    negative: float = 1.0
    friends: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what factorises nothing."""
        for name in ("factors", "epochs"):
            if getattr(self, name) < 1:
                raise SettingsError(f"ials needs {name} of at least 1, found {getattr(self, name)}.")
        for name in ("unobserved", "ridge"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"ials needs {name} above 0, found {getattr(self, name)}.")
        if not 0.0 < self.decay <= 1.0:
            raise SettingsError(f"ials needs a decay above 0 and at most 1, found {self.decay}.")
        for name in ("negative", "friends"):
            if getattr(self, name) < 0:
                raise SettingsError(f"ials needs {name} of at least 0, found {getattr(self, name)}.")


class Ials:
    """Implicit-feedback matrix factorisation."""

    name = "ials"
    Config = IalsConfig
    space: ClassVar[Space] = {
        "factors": Choice((32, 64, 128)),
        "unobserved": Span(low=0.003, high=1.0, log=True),
        "ridge": Span(low=3e-4, high=0.1, log=True),
        "exponent": Choice((0.5, 0.75, 1.0)),
        "decay": Choice((0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(IalsConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        k, events = self.config.factors, len(log.histories.items)
        rows = len(log.histories) + log.n_items
        if self.config.friends and log.friends is not None:
            events, rows = events + len(log.friends.values), rows + len(log.histories)
        flops = self.config.epochs * (4.0 * events * k**2 + rows * k**3)
        return Needs(memory_bytes=60 * events + 8 * k * rows + 2**27, cpu_s=flops / 1e10 + 1e-6 * events)

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit on a log.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        return model_of(self.name, config_values(self.config), self.part(log, seed), log)

    def part(self, log: Log, seed: int, start: Float32 | None = None) -> Part:
        """The factors of a log's items.

        Args:
            log: the log.
            seed: draws the factors that the first of all passes starts from.
            start: float32, shape (items, factors): nearly the factors already, of which one pass makes those
                of this log; None, or where friends are factorised too: all passes are made.

        Raises:
            TooLarge: the fit would need more memory than there is.
        """
        require(self.needs(log).memory_bytes, f"ials with {self.config.factors} factors", "set fewer factors")
        watched = taste_matrix(log.histories, log.n_items)
        had, targets = taught(watched, noes_matrix(log.negatives, log.n_items), self.config.negative)
        both, targets = self._beside(had, targets, log)
        columns = both.shape[1]
        if start is None or columns > log.n_items:
            found = self._factorise(both, targets, self._drawn(columns, seed), self.config.epochs)
        else:
            found = self._factorise(both, targets, start.copy(), 1)
        tensors = {"items": found[: log.n_items]}
        if columns > log.n_items:
            tensors["links"] = found[log.n_items :]
        settings: dict[str, Any] = config_values(self.config)
        if not log.ordered:
            settings |= {"decay": 1.0, "note": UNORDERED}
        return Part(kind="factors", settings=settings, tensors=tensors)

    def _beside(self, had: Sparse, targets: Float32 | None, log: Log) -> tuple[Sparse, Float32 | None]:
        """What viewers have, with a column for each friend after the items, and the target of each entry."""
        if not self.config.friends or log.friends is None:
            return had, targets
        viewers = len(log.histories)
        links = links_of(log.friends, np.arange(viewers), viewers) * np.float32(self.config.friends)
        both = hstack([had, links], format="csr", dtype=np.float32)
        if targets is None:
            return both, None
        wanted = csr_matrix((targets, had.indices, had.indptr), shape=had.shape)
        ones = csr_matrix((np.ones_like(links.data), links.indices, links.indptr), shape=links.shape)
        return both, np.asarray(hstack([wanted, ones], format="csr", dtype=np.float32).data)

    def _drawn(self, columns: int, seed: int) -> Float32:
        random = generator(seed, self.name)
        drawn: Float32 = random.standard_normal((columns, self.config.factors), dtype=np.float32)
        drawn *= np.float32(0.1 / np.sqrt(self.config.factors))
        return drawn

    def _factorise(self, watched: Sparse, targets: Float32 | None, items: Float32, passes: int) -> Float32:
        """The columns' factors: float32, shape (columns, factors); zeros for an item that nobody watched.

        Args:
            watched: who watched what, and who is whose friend.
            targets: what each of its entries is worth.
            items: factors to start from; overwritten.
            passes: how many are made.
        """
        config = self.config
        watchers, item_targets = turned(watched, targets)
        viewer_ridges = ridges(watched, config.ridge, config.unobserved, config.exponent)
        item_ridges = ridges(watchers, config.ridge, config.unobserved, config.exponent)
        items[np.diff(watchers.indptr) == 0] = 0.0
        for _ in range(passes):
            gram = config.unobserved * (items.T @ items)
            viewers = solve_rows(watched, items, gram, viewer_ridges, targets)
            gram = config.unobserved * (viewers.T @ viewers)
            items = solve_rows(watchers, viewers, gram, item_ridges, item_targets)
        return items
