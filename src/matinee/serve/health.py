"""Whether this process answers, and whether it should be asked: what /readyz says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from matinee.core.errors import MatineeError
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.refusals import outside_words
from matinee.serve.service import Service

# A store that takes longer to say a number is not ready.
_STORE_S = 2.0


@dataclass
class Health:
    """What this process says of itself.

    Attributes:
        leaving: whether it takes its leave: it answers whoever is connected, and asks others to go elsewhere.
    """

    leaving: bool = False

    async def why_not_ready(self, service: Service) -> str:
        """Why nobody should ask here now; empty where nothing speaks against it."""
        if self.leaving:
            return "it is about to end"
        if DEFAULT_ALIAS not in service.bundles.names():
            return f"no bundle has the alias {DEFAULT_ALIAS}"
        try:
            await asyncio.wait_for(service.store.notes_version(), _STORE_S)
        except TimeoutError:
            return "the store does not answer"
        except MatineeError as error:
            return outside_words(error).rstrip(".")
        return ""
