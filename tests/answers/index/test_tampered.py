"""A bundle with an index: whatever is altered in any of its files is refused with the file and the reason."""

import pickle
import shutil

import numpy as np
import pytest
from tests.serve.large_world import bundle

from matinee.answers import manifest
from matinee.answers.manifest import Checks, read_manifest
from matinee.answers.model import load
from matinee.core.errors import BundleError


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(bundle("large"), tmp_path / "bundle")
    return tmp_path / "bundle"


def files_of(folder):
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {"index", "parts"} <= {path.relative_to(folder).parts[0] for path in found}
    return found


def altered(whole, random, trial):
    """The bytes of a file with one bit flipped, or cut short; in a third of the trials cut."""
    place = int(random.integers(len(whole)))
    if trial % 3 == 2:
        return whole[:place]
    found = bytearray(whole)
    found[place] ^= 1 << int(random.integers(8))
    return bytes(found)


def refused(folder, path, content):
    """Put content in a file's place, load, and put the file back."""
    whole = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(BundleError, match=path.name) as told:
        load(folder)
    path.write_bytes(whole)
    said = str(told.value)
    assert any(word in said for word in ("altered", "truncated", "expected", "format")), said


def try_all(folder, trials):
    random = np.random.default_rng(11)
    files = files_of(folder)
    for trial in range(trials):
        path = files[trial % len(files)]
        refused(folder, path, altered(path.read_bytes(), random, trial))
    assert load(folder).candidates is not None


@pytest.mark.parametrize("large", [manifest._LARGE, 512])
def test_flipped_bits_and_truncations_are_refused_by_the_files_name(folder, monkeypatch, large):
    # Files of more than 512 bytes are then hashed by other threads, in pieces.
    monkeypatch.setattr(manifest, "_LARGE", large)
    try_all(folder, 60)


@pytest.mark.long
def test_a_thousand_flipped_bits_and_truncations_are_refused(folder):
    try_all(folder, 1_000)


def test_a_pickle_in_the_place_of_any_file_is_never_opened(folder, tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    harm = pickle.dumps(Harm())
    for path in files_of(folder):
        refused(folder, path, harm)
        # Of the very size that the manifest tells, too.
        whole = path.read_bytes()
        refused(folder, path, harm[: len(whole)] + b"\x00" * (len(whole) - len(harm)))
    assert not (tmp_path / "harm").exists()
    load(folder)


def test_nothing_is_used_before_it_was_looked_at(folder):
    path = folder / "index" / "sequential.safetensors"
    path.write_bytes(altered(path.read_bytes(), np.random.default_rng(0), 0))
    with Checks(folder, read_manifest(folder)["files"]) as checks:
        assert checks.sure("items.parquet") == folder / "items.parquet"
        with pytest.raises(BundleError, match=r"sequential\.safetensors: altered"):
            checks.sure("index/sequential.safetensors")
        with pytest.raises(BundleError, match=r"sequential\.safetensors: altered"):
            checks.all_sure()
        with pytest.raises(BundleError, match="does not list it"):
            checks.sure("index/other.safetensors")
