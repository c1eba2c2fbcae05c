"""What can be asked of a server, and what is answered: the same for every face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from matinee.serve.records import Seen

# Items that one answer holds at most, and the farthest place that paging reaches.
MOST_ITEMS = 500
FARTHEST = 10_000
DEFAULT_ALIAS = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A wish for items.

    Attributes:
        user: who asks; None: nobody in particular.
        history: a session: what was done, oldest first, instead of what the store knows; None: the store's.
        what_if: items that are taken as if they had just been chosen; nothing of it is stored.
        alias: which bundle answers; an experiment may choose another one for this viewer.
        bundle: a bundle's name, which goes before alias and experiment; None: as they say.
        placement: where the answer is shown, such as "home": its rules apply, and figures are kept by it.
        k: how many items.
        offset: how many to leave out at the beginning; pages of an unchanged history fit each other.
        exclude: items not wanted.
        only: items to choose from; None: all.
        categories: items of any of these only; empty: all.
        region: where the asker is; None: what the profile says.
        repeats: whether what was chosen before may come again; None: as the bundle says.
        pinned: items put first, in this order, where they may be shown at all.
        most: at most so many items for each value of a column, such as {"series": 1}.
        diversity: from 0, the best items, to 1, items as unlike each other as can be (MMR).
        freshness: from 0, no matter how old, to 1, new items before all others.
        reasons: whether the answer says why.
        now_ms: the moment of the answer; None: the clock's.
    """

    user: str | None = None
    history: Sequence[Seen] | None = None
    what_if: Sequence[str] = ()
    alias: str = DEFAULT_ALIAS
    bundle: str | None = None
    placement: str = ""
    k: int = 10
    offset: int = 0
    exclude: Sequence[str] = ()
    only: Sequence[str] | None = None
    categories: Sequence[str] = ()
    region: str | None = None
    repeats: bool | None = None
    pinned: Sequence[str] = ()
    most: Mapping[str, int] = field(default_factory=dict)
    diversity: float = 0.0
    freshness: float = 0.0
    reasons: bool = False
    now_ms: int | None = None


class Recommended(NamedTuple):
    """One item of an answer.

    Attributes:
        item: its id.
        title: what people call it; None where nobody said.
        score: what it was ranked by; higher is better, comparable within one answer only; None where nothing
            scored it (a pinned item that the bundle does not know).
        reasons: why; empty where nobody asked or there is nothing to say.
        pinned: whether a rule put it there.
    """

    item: str
    title: str | None = None
    score: float | None = None
    reasons: tuple[str, ...] = ()
    pinned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Ranked items, best first.

    Attributes:
        items: the items.
        source: what ranked them: the recommender's name, `fallback:popular`, `popular`, `latest`, `similar`.
        recommendation_id: what events name to say that they followed from this answer.
        bundle: name of the bundle that answered; empty where none was asked.
        experiment: the experiment and its arm, as "name/arm"; empty where there is none.
        unknown: how many items of the history the bundle has never seen.
    """

    items: tuple[Recommended, ...]
    source: str
    recommendation_id: str
    bundle: str = ""
    experiment: str = ""
    unknown: int = 0
