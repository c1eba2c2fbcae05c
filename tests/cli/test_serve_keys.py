"""Keys of `matinee serve`: who may ask, and under which key ids are kept."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.served import ENVIRONMENT, command, refusal, serving, two_bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    return two_bundles(tmp_path_factory.mktemp("bundles"))


def test_beyond_loopback_a_key_is_asked_for_and_keys_are_shown_once(tmp_path, bundles):
    store = f"sqlite:///{tmp_path}/store.db"

    def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
        made = command("keys", *arguments, "--store", store)
        return subprocess.run(made, capture_output=True, text=True, env=ENVIRONMENT, check=True)

    key = json.loads(keys("add", "website", "--scope", "read", "--json", "-").stdout)["key"]
    assert key not in keys("list").stdout
    with serving(tmp_path, str(bundles), "--host", "0.0.0.0", "--port", "0") as server:  # noqa: S104
        server.address = f"http://127.0.0.1:{server.place[1]}"
        assert server.get("/livez")[0] == 200
        assert server.get("/metrics")[0] == 401
        assert server.post("/v1/recommend", {"user": "v1"})[0] == 401
        assert server.post("/v1/recommend", {"user": "v1"}, authorization=f"Bearer {key}")[0] == 200
        keys("revoke", "website")
        assert server.post("/v1/recommend", {"user": "v1"}, authorization=f"Bearer {key}")[0] == 401
        assert server.end() == 0
        assert key not in server.words()


def test_the_first_key_counts_at_once_in_every_worker(tmp_path, bundles):
    with serving(tmp_path, str(bundles), "--port", "0", "--workers", "2") as server:
        assert server.post("/v1/recommend", {"user": "v1"})[0] == 200
        made = subprocess.run(
            command("keys", "add", "first", "--store", f"sqlite:///{tmp_path}/store.db", "--json", "-"),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            check=True,
        )
        key = json.loads(made.stdout)["key"]
        # Each ask is a new connection: thirty of them meet both workers.
        server.until(
            lambda: {server.post("/v1/recommend", {"user": "v1"})[0] for _ in range(30)} == {401}, 10.0
        )
        assert server.post("/v1/recommend", {"user": "v1"}, authorization=f"Bearer {key}")[0] == 200
        assert server.get("/livez")[0] == 200
        assert server.end() == 0


def test_ids_are_kept_as_hashes_under_the_key_that_a_store_was_begun_with(tmp_path, bundles):
    key, other = tmp_path / "ids.key", tmp_path / "other.key"
    for path, letter in ((key, "k"), (other, "o")):
        path.write_text(letter * 40)
        path.chmod(0o600)
    event = {"events": [{"user": "ann@example.org", "item": "i1", "kind": "watch"}]}
    with serving(tmp_path, str(bundles), "--port", "0", "--workers", "2", "--hash-ids", str(key)) as server:
        assert server.post("/v1/events", event)[0] == 200
        assert json.loads(server.get("/v1/users/ann@example.org")[1])["history"][0]["item"] == "i1"
        assert server.get("/v1/users/v1")[0] == 200
        assert server.end() == 0
        words = server.words()
    assert "example.org" not in words
    assert "kkkk" not in words
    for file in tmp_path.glob("store.db*"):
        assert b"example.org" not in file.read_bytes()
    with serving(tmp_path, str(bundles), "--port", "0", MATINEE_ID_KEY=str(key)) as server:
        assert json.loads(server.get("/v1/users/ann@example.org")[1])["history"][0]["item"] == "i1"
        assert server.end() == 0
    kept = ("--port", "0", "--store", f"sqlite:///{tmp_path}/store.db")
    assert "keeps ids as hashes" in refusal(str(bundles), *kept)
    assert "not the key" in refusal(str(bundles), *kept, "--hash-ids", str(other))
    key.chmod(0o644)
    assert "chmod 600" in refusal(str(bundles), *kept, "--hash-ids", str(key))
