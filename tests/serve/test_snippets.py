"""The examples that people copy, against a real server: with a key and without, and when it says no."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serve.web_world import world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/serve"
RUNS = {
    "recommend.sh": ["sh"],
    "recommend.py": [sys.executable, "-W", "error"],
    "recommend.mjs": ["node"],
}


def run(name, address, *words, key=None):
    if shutil.which(RUNS[name][0]) is None or (name.endswith(".sh") and shutil.which("curl") is None):
        pytest.skip(f"{name} needs a program that is not here")
    environment = {**os.environ, "MATINEE_URL": address, **({"MATINEE_KEY": key} if key else {})}
    return subprocess.run(
        [*RUNS[name], str(EXAMPLES / name), *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_every_snippet_is_run():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(RUNS)


@pytest.mark.parametrize("name", sorted(RUNS))
@pytest.mark.parametrize("locked", [False, True])
def test_a_snippet_tells_asks_and_shows(tmp_path, name, locked):
    with world(tmp_path, locked=locked) as net, net.on_a_port() as address:
        key = net.do(net.keys.make("shop", ["read", "write"]))[1] if locked else None
        done = run(name, address, "somebody", "i4", key=key)
        assert done.returncode == 0, done.stderr
        kept = net.do(net.service.store.events(user="somebody"))
        assert (kept[0].item, kept[0].kind) == ("i4", "view")
        if name.endswith(".sh"):
            first, second = (json.loads(line) for line in done.stdout.splitlines() if line)
            assert first == {"new": 1, "received": 1}
            assert second["source"] == "transitions"
            assert any(one["reasons"] for one in second["items"])
            return
        lines = done.stdout.splitlines()
        assert lines[:2] == ["kept: 1", "from: transitions"]
        assert lines[-1] == "kept: 2"
        assert len(lines) == 8
        assert any(re.search(r"because you .+ Film 4\b", line) for line in lines), lines
        shown = net.do(net.service.store.impressions())[0]
        assert (kept[1].item, kept[1].position) == (shown.items[0], 1)
        assert kept[1].recommendation_id == shown.recommendation_id


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_snippet_without_a_key_fails_and_says_so(tmp_path, name):
    with world(tmp_path, locked=True) as net, net.on_a_port() as address:
        done = run(name, address)
    assert done.returncode != 0
    assert "401" in done.stderr + done.stdout or "A key is needed" in done.stderr
