"""Which column is what: the names that logs use, all in this one place.

Names are compared without case, blanks and punctuation, so that `USER_ID`, `userId` and RecBole's
`user_id:token` are one name. Where several columns could be the same, the name further to the front of its
list wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matinee.core.errors import DataError, unknown_name

ROLES = ("user", "item", "time", "order", "value", "kind")

ALIASES: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "viewer", "viewerid", "uid", "userkey", "username", "customer", "customerid"),
        *("visitorid", "visitor", "memberid", "member", "accountid", "account", "profileid", "reviewerid"),
        *("listenerid", "listener", "clientid", "subscriberid"),
    ),
    "item": (
        *(
            "item",
            "itemid",
            "iid",
            "movieid",
            "movie",
            "filmid",
            "film",
            "videoid",
            "video",
            "showid",
            "titleid",
        ),
        *(
            "productid",
            "product",
            "parentasin",
            "asin",
            "sku",
            "contentid",
            "artistid",
            "artist",
            "trackid",
            "songid",
        ),
        *(
            "bookid",
            "isbn",
            "articleid",
            "newsid",
            "gameid",
            "anime",
            "animeid",
            "businessid",
            "locationid",
            "poiid",
        ),
    ),
    "time": (
        *(
            "timestamp",
            "time",
            "ts",
            "datetime",
            "eventtime",
            "eventtimestamp",
            "date",
            "createdat",
            "unixreviewtime",
        ),
        *("watchedat", "dateadded", "eventdate", "at"),
    ),
    "order": ("order", "position", "sequence", "seq", "step"),
    "value": (
        *(
            "rating",
            "value",
            "eventvalue",
            "weight",
            "score",
            "stars",
            "overall",
            "count",
            "plays",
            "playcount",
        ),
        *("listencount", "preference"),
    ),
    "kind": (
        *("kind", "eventtype", "event", "feedbacktype", "eventname", "action", "actiontype", "behavior"),
        *("behaviour", "behaviortype", "interactiontype", "type"),
    ),
}

_TYPE_SUFFIX = re.compile(r":(token|float|token_seq|float_seq)\s*$")
_NOT_A_WORD = re.compile(r"[\W_]+")


def plain_name(name: str) -> str:
    """A column's name without case, blanks, punctuation and RecBole's type."""
    return _NOT_A_WORD.sub("", _TYPE_SUFFIX.sub("", name)).lower()


def bare_name(name: str) -> str:
    """A column's name as people say it: without blanks around it and without RecBole's type."""
    return _TYPE_SUFFIX.sub("", name).strip()


def has_types(names: Sequence[str]) -> bool:
    """Whether every name carries a type, as in RecBole's atomic files."""
    return bool(names) and all(_TYPE_SUFFIX.search(name) for name in names)


def guess_columns(names: Sequence[str]) -> dict[str, int]:
    """Role -> position, for the roles that some column's name stands for."""
    plain = [plain_name(name) for name in names]
    found: dict[str, int] = {}
    for role in ROLES:
        taken = set(found.values())
        for alias in ALIASES[role]:
            places = [place for place, name in enumerate(plain) if name == alias and place not in taken]
            if places:
                found[role] = places[0]
                break
    return found


def choose_columns(
    names: Sequence[str], asked: Mapping[str, str], guessed: Mapping[str, int], file: object
) -> dict[str, int]:
    """Role -> position: what was asked for, and for the other roles what was guessed.

    Args:
        names: the file's columns; in a file without a header their positions.
        asked: role -> name or position; an empty name means that no column has this role.
        guessed: role -> position, found by names or by content.
        file: named in errors.

    Raises:
        DataError: a column that was asked for is not there, is asked for twice, or has the name of another;
            or viewer or item have none.
    """
    for role in asked:
        if role not in ROLES:
            raise unknown_name("column role", role, ROLES)
    chosen = {role: place_of(name, names, role, file) for role, name in asked.items() if name != ""}
    _refuse_twice(chosen, names, file)
    taken = set(chosen.values())
    chosen |= {role: place for role, place in guessed.items() if role not in asked and place not in taken}
    for role, what in (("user", "viewers"), ("item", "items")):
        if role not in chosen:
            raise DataError(
                f"no column was recognised as the {what}' ids among {', '.join(map(repr, names))}",
                file=file,
                remedy="Name them: --columns user=NAME,item=NAME (without a header: positions from 0).",
            )
    by_name = {role: place for role, place in chosen.items() if not _is_place(asked.get(role, ""), names)}
    refuse_namesakes(
        by_name, names, file, "Rename one of them, or say --columns {role}=N, its position from 0."
    )
    return {role: chosen[role] for role in ROLES if role in chosen}


def _refuse_twice(chosen: Mapping[str, int], names: Sequence[str], file: object) -> None:
    """Refuse two roles for one column."""
    role_of: dict[int, str] = {}
    for role, place in chosen.items():
        if role_of.setdefault(place, role) != role:
            raise DataError(
                f"column {names[place]!r} is asked for as {role_of[place]} and as {role}",
                file=file,
                remedy="Name a column of its own for each, with --columns.",
            )


def refuse_namesakes(chosen: Mapping[str, int], names: Sequence[str], file: object, remedy: str) -> None:
    """Refuse a column that has a role where another has the same name.

    Args:
        chosen: role -> position.
        names: the file's columns.
        file: named in the error.
        remedy: what to do about it; `{role}` stands for the role.

    Raises:
        DataError: names the column.
    """
    for role, place in chosen.items():
        if names.count(names[place]) > 1:
            raise DataError(
                f"{names.count(names[place])} columns have the name {names[place]!r}, so which is the {role} "
                "cannot be told",
                file=file,
                remedy=remedy.format(role=role),
            )


def _is_place(name: str, names: Sequence[str]) -> bool:
    """Whether a column was asked for by its position."""
    return name.isdecimal() and name not in names


def place_of(name: str, names: Sequence[str], role: str, file: object) -> int:
    """The position of a column by its name, its bare name or, failing those, its number.

    Raises:
        DataError: there is no such column.
    """
    for known in (list(names), [bare_name(one) for one in names]):
        if name in known:
            return known.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise DataError(
        f"there is no column {name!r} (asked for as {role}); the columns are {', '.join(map(repr, names))}",
        file=file,
        remedy=f"Say --columns {role}=NAME with one of these.",
    )
