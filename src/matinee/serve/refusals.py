"""Why a server says no: each face puts these into its own words and status."""

from __future__ import annotations

from matinee.core.errors import MatineeError


class Refusal(MatineeError):
    """A request that is not answered; `status` is HTTP's.

    Args:
        message: what was found, what was expected, what to do; it never repeats a secret.
        status: the HTTP status.
    """

    status = 400

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class NotFound(Refusal):
    """Nothing has this name."""

    status = 404


class Conflict(Refusal):
    """It cannot be done as things stand."""

    status = 409


class TooBig(Refusal):
    """More was sent than is taken in at once."""

    status = 413


class Unauthorised(Refusal):
    """No key, or one that nobody knows."""

    status = 401


class Forbidden(Refusal):
    """The key is not for this."""

    status = 403


class Busy(Refusal):
    """More is asked than can be answered now: try again."""

    status = 503


class StoreError(Refusal):
    """The store cannot be reached, or is not what this version writes.

    Args:
        message: for whoever runs the server: it may name the database's host.
        outside: for whoever asks it over HTTP, who need not know; None: the message.
    """

    status = 503

    def __init__(self, message: str, *, outside: str | None = None) -> None:
        super().__init__(message)
        self.outside = message if outside is None else outside


class StoreFull(StoreError):
    """The disk is full: nothing was kept; reading goes on."""

    status = 507


def outside_words(error: MatineeError) -> str:
    """What an error says to whoever asks over HTTP."""
    return error.outside if isinstance(error, StoreError) else str(error)
