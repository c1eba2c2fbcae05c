from pathlib import Path

import pytest

from matinee.core.errors import InputError
from matinee.recipes.keys import add_key, list_keys, revoke_key


def test_only_a_new_key_makes_a_store(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    for ask in (list_keys, lambda url: revoke_key(url, "shop")):
        with pytest.raises(InputError, match="no such store"):
            ask(store)
    assert list(tmp_path.iterdir()) == []
    made, _ = add_key(store, "shop", ["read"])
    assert list_keys(store) == [made]


def test_a_key_that_nobody_knows_cannot_be_revoked(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    made, _ = add_key(store, "shop", ["read"])
    with pytest.raises(InputError, match="No key has the id or name 'nosuch'"):
        revoke_key(store, "nosuch")
    assert revoke_key(store, "shop") == made
    assert list_keys(store) == []
