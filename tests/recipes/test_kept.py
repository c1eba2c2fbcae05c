"""Parts on disk: found by who asks for the same, never torn, in nobody's way when a process was killed."""

import os

import numpy as np
import pytest

from matinee.core.promise import Part
from matinee.recipes.kept import KeptParts

SETTINGS = {"width": 8}


def part(seed=0):
    weights = np.random.default_rng(seed).random((3, 2)).astype(np.float32)
    return Part(kind="linear", settings={"decays": [0.5]}, tensors={"weights": weights})


def test_a_part_is_found_by_the_same_name_settings_seed_and_log_alone(tmp_path):
    KeptParts(tmp_path, "train").keep("transitions", SETTINGS, 3, part(), {"cpu_s": 2.0, "wall_s": 4.0})
    later = KeptParts(tmp_path, "train")
    found, facts = later.find("transitions", SETTINGS, 3)
    np.testing.assert_array_equal(found.tensors["weights"], part().tensors["weights"])
    assert (found.kind, found.settings, facts["cpu_s"]) == ("linear", {"decays": [0.5]}, 2.0)
    later.find("transitions", SETTINGS, 3)
    assert (later.found_cpu_s, later.found_wall_s) == (2.0, 4.0)
    for name, settings, seed in (("ials", SETTINGS, 3), ("transitions", {"width": 9}, 3)):
        assert later.find(name, settings, seed) is None
    assert later.find("transitions", SETTINGS, 4) is None
    assert KeptParts(tmp_path, "train_and_validation").find("transitions", SETTINGS, 3) is None


def test_a_part_that_was_being_written_is_none_and_its_draft_in_nobodys_way(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    kept = KeptParts(tmp_path, "train")
    with monkeypatch.context() as patch:
        patch.setattr("matinee.recipes.kept.write_facts", killed)
        with pytest.raises(KeyboardInterrupt):
            kept.keep("transitions", SETTINGS, 0, part(), {})
    assert [path.name.endswith(f".{os.getpid()}.draft") for path in tmp_path.iterdir()] == [True]
    # In a container, the next process often has the very number of the one that was killed.
    later = KeptParts(tmp_path, "train")
    assert later.find("transitions", SETTINGS, 0) is None
    later.keep("transitions", SETTINGS, 0, part(1), {})
    np.testing.assert_array_equal(
        later.find("transitions", SETTINGS, 0)[0].tensors["weights"], part(1).tensors["weights"]
    )
