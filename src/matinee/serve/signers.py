"""Who may sign requests: pairs that the operator named, and every API key, whose secret is reckoned.

An API key's text is known to nobody but its owner, and a signature can only be checked with what it was made
from. So a key's pair is made of what the server knows: the id is the key's public one, the secret a keyed
hash of it under the store's secret. It is shown where the key is made, and worthless once the key is revoked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from matinee.serve.keys import Key, Keys
from matinee.serve.refusals import Forbidden, StoreError
from matinee.serve.sigv4 import BadSignature, Signed, claimed_key
from matinee.serve.store import Store, secret_of


def pair_of(store_secret: bytes, key: Key) -> tuple[str, str]:
    """The access key id and the secret access key that belong to an API key."""
    told = f"sigv4:{key.id}:{key.sha256}".encode()
    raw = hmac.new(store_secret, told, hashlib.sha256).digest()
    return key.id, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def pair_for(store: Store, key: Key) -> tuple[str, str]:
    """The pair of an API key of a store.

    Raises:
        StoreError: the store has no secret.
    """
    return pair_of(await _secret_in(store), key)


class Signers:
    """Secrets by access key id.

    Args:
        store: where the server's secret is.
        pairs: the operator's own; they are good for reading and writing.
        keys: the API keys; None: there are none.
    """

    def __init__(self, store: Store, pairs: Mapping[str, str], keys: Keys | None) -> None:
        self._store, self._pairs, self._keys = store, dict(pairs), keys
        self._secret: bytes | None = None

    async def asked_for(self) -> bool:
        """Whether a request has to be signed."""
        return bool(self._pairs) or self._keys is None or await self._keys.asked_for()

    async def secrets_of(self, request: Signed) -> Mapping[str, str]:
        """The secret of the key that a request names, by its id; nothing where nobody knows it."""
        key_id = claimed_key(request.headers)
        if key_id in self._pairs:
            return {key_id: self._pairs[key_id]}
        key = None if self._keys is None else await self._keys.find(key_id)
        return {} if key is None else dict([pair_of(await self._stores_secret(), key)])

    async def check(self, key_id: str, scope: str) -> None:
        """Refuse a key that is not good for what is asked.

        Raises:
            Forbidden: it is not.
        """
        if key_id in self._pairs or self._keys is None:
            return
        key = await self._keys.find(key_id)
        if key is None:
            raise BadSignature(
                "The security token included in the request is invalid.", "UnrecognizedClientException"
            )
        if not key.good_for(scope):
            raise Forbidden(f"The key {key.name!r} is good for {', '.join(key.scopes)}: this needs {scope}.")

    async def _stores_secret(self) -> bytes:
        if self._secret is None:
            self._secret = await _secret_in(self._store)
        return self._secret


async def _secret_in(store: Store) -> bytes:
    text = await store.note("secret")
    if text is None:
        raise StoreError("The store has no secret: it is not what this version writes.")
    return secret_of({"secret": text})
