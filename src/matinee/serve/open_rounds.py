"""For whom friends are picking: the one place where a round of the challenge names its viewer.

It is one note, so that whoever is deleted leaves all rounds in the same transaction. A viewer stands in it
until the friend has picked, and a month at most.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

OPEN_ROUNDS = "challenge:open"
LASTS_MS = 30 * 86_400_000
# So many at once; beyond, the oldest is over.
MOST = 10_000


class _Open(msgspec.Struct, array_like=True, frozen=True):
    user: str
    began_ms: int


def opened(note: str | None, round_id: str, user: str, now_ms: int) -> str:
    """The note with one round more, and without those that have lasted too long."""
    kept = [(one, said) for one, said in _read(note).items() if now_ms - said.began_ms < LASTS_MS]
    return _text({**dict(kept[1 - MOST :]), round_id: _Open(user, now_ms)})


def closed(note: str | None, round_id: str) -> str:
    """The note without a round."""
    return _text({one: said for one, said in _read(note).items() if one != round_id})


def left_by(note: str | None, users: Collection[str]) -> str:
    """The note without the rounds of some ids."""
    return _text({one: said for one, said in _read(note).items() if said.user not in users})


def viewer_in(note: str | None, round_id: str, now_ms: int) -> str:
    """For whom a round is; empty where it is over, or the viewer was deleted."""
    said = _read(note).get(round_id)
    return "" if said is None or now_ms - said.began_ms >= LASTS_MS else said.user


def _read(note: str | None) -> dict[str, _Open]:
    return {} if note is None else msgspec.json.decode(note, type=dict[str, _Open])


def _text(rounds: dict[str, _Open]) -> str:
    return msgspec.json.encode(rounds).decode()
