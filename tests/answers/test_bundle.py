"""Bundles: complete, unaltered, or refused with the file's name and the reason; never half written."""

import errno
import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matinee.answers import bundle, tables
from matinee.answers.manifest import bury, read_manifest, read_tombstones, write_manifest
from matinee.answers.model import load
from matinee.answers.tensors import read_tensors, write_tensors
from matinee.core.errors import BundleError, InputError
from matinee.core.types import Histories, Ragged


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "bundle")
    return tmp_path / "bundle"


def rewrite(folder, **changes):
    """Seal the bundle again over altered files, as somebody would who means harm."""
    manifest = json.loads((folder / "manifest.json").read_text())
    content = {key: value for key, value in manifest.items() if key not in ("files", "seal", "format")}
    write_manifest(folder, {**content, **changes})


def test_round_trip(model, folder):
    loaded = load(folder)
    users = [*model.log.viewers.ids(range(6)), "stranger"]
    before, after = model.recommend(users, k=5), load(folder).recommend(users, k=5)
    assert after.to_arrow().equals(before.to_arrow())
    assert after.sources == before.sources
    assert loaded.log.items.ids(range(8)) == model.log.items.ids(range(8))
    assert loaded.log.viewers.ids(range(6)) == model.log.viewers.ids(range(6))
    assert loaded.config == {"ridge": 1.0}
    assert loaded.name == "ease"
    assert loaded.log.fingerprint == "f" * 64
    assert np.array_equal(loaded.parts["ease"].sums["gram"], np.eye(8))
    assert loaded.title(1) == "Film 1"


def test_everything_that_a_log_has_comes_back(with_tables, tmp_path):
    model = with_tables(
        negatives=[[3], [], [1, 2], [], [], [0]],
        viewers={"region": list("abcdef")},
        regions=[["a"], [], None, ["b", "c"], [], [], [], []],
    )
    n = len(model.log)
    histories = replace(
        model.log.histories,
        kinds=np.arange(n, dtype=np.int8) % 2,
        values=np.linspace(0, 5, n, dtype=np.float32),
        weights=np.full(n, 0.5, dtype=np.float32),
        targets=np.arange(n) % 3 == 0,
    )
    friends = Ragged(
        values=np.array([1, 2, 0], dtype=np.int32),
        offsets=np.array([0, 2, 3, 3, 3, 3, 3], dtype=np.int64),
        weights=np.array([1, 2, 3], dtype=np.float32),
    )
    log = replace(model.log, histories=histories, kinds=("a", "b"), friends=friends, target="a")
    replace(model, log=log).save(tmp_path / "b")
    back = load(tmp_path / "b").log
    for name in ("items", "offsets", "times", "kinds", "values", "weights", "targets"):
        assert np.array_equal(getattr(back.histories, name), getattr(histories, name)), name
        assert getattr(back.histories, name).dtype == getattr(histories, name).dtype
    assert np.array_equal(back.friends.values, friends.values)
    assert np.array_equal(back.friends.offsets, friends.offsets)
    assert np.array_equal(back.friends.weights, friends.weights)
    assert np.array_equal(back.negatives.values, model.log.negatives.values)
    assert back.viewer_table.column("region").to_pylist() == list("abcdef")
    assert back.item_table.column("regions").to_pylist()[3] == ["b", "c"]
    assert (back.kinds, back.order, back.target) == (("a", "b"), "time", "a")


def test_every_field_of_histories_is_kept():
    import dataclasses

    assert {one.name for one in dataclasses.fields(Histories)} == {*tables._EVENT, "offsets"}


def test_without_histories_nobody_is_in_it(model, tmp_path):
    model.save(tmp_path / "b", histories=False)
    names = {path.name for path in (tmp_path / "b").rglob("*")}
    assert not names & {"histories.parquet", "viewers.parquet", "friends.parquet", "negatives.parquet"}
    loaded = load(tmp_path / "b")
    asked = [["a/b", 'c "d"', "e,f"]]
    assert loaded.recommend_history(asked).items.tolist() == model.recommend_history(asked).items.tolist()
    with pytest.raises(InputError, match="without histories"):
        loaded.recommend(["u/1"])
    for path in (tmp_path / "b").rglob("*.*"):
        assert b"saw everything" not in path.read_bytes()


def test_what_answers_from_people_needs_them(model, tmp_path):
    from matinee.core.promise import Part

    part = Part(kind="neighbours", settings={}, tensors={})
    with pytest.raises(InputError, match="other people's histories"):
        replace(model, name="user_knn", parts={"user_knn": part}).save(tmp_path / "b", histories=False)
    assert not (tmp_path / "b").exists()


def test_weights_are_memory_mapped(folder):
    array = load(folder).parts["ease"].tensors["weights"]
    while isinstance(array.base, np.ndarray):
        array = array.base
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        load(folder).parts["ease"].tensors["weights"][0, 0] = 1.0


def test_any_flipped_bit_or_truncation_is_refused_by_the_files_name(folder, tmp_path):
    random = np.random.default_rng(7)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for trial in range(200):
        path = files[trial % len(files)]
        whole = path.read_bytes()
        place = int(random.integers(len(whole)))
        if trial % 3 == 2:
            path.write_bytes(whole[:place])
        else:
            altered = bytearray(whole)
            altered[place] ^= 1 << int(random.integers(8))
            path.write_bytes(bytes(altered))
        with pytest.raises(BundleError, match=path.name):
            load(folder)
        path.write_bytes(whole)
    load(folder)


def test_missing_and_extra_files_are_named(folder):
    saved = (folder / "golden.json").read_bytes()
    (folder / "golden.json").unlink()
    with pytest.raises(BundleError, match=r"golden\.json: missing"):
        load(folder)
    (folder / "golden.json").write_bytes(saved)
    (folder / "parts" / "ease" / "extra.txt").write_text("hello")
    with pytest.raises(BundleError, match=r"extra\.txt: it is not part"):
        load(folder)


def test_a_pickle_is_never_opened(folder, tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    harm = pickle.dumps(Harm())
    (folder / "model.pkl").write_bytes(harm)
    with pytest.raises(BundleError, match=r"model\.pkl"):
        load(folder)
    (folder / "model.pkl").unlink()
    names = ("parts/ease/weights.safetensors", "items.parquet", "histories.parquet", "popularity.safetensors")
    for name in (*names, "golden.json", "parts/ease/config.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(harm)
        with pytest.raises(BundleError, match=name):
            load(folder)
        rewrite(folder)
        with pytest.raises(BundleError):
            load(folder)
        (folder / name).write_bytes(whole)
        rewrite(folder)
    assert not (tmp_path / "harm").exists()
    load(folder)


def test_links_are_refused(folder, tmp_path):
    shutil.move(folder / "items.parquet", tmp_path / "elsewhere.parquet")
    (folder / "items.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(BundleError, match=r"items\.parquet.*no links"):
        load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "parts/../../x", "a\\b", "", "parts//x"])
def test_paths_that_leave_the_folder_are_refused(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["items.parquet"]
    from matinee.answers import manifest as module

    manifest.pop("seal")
    (folder / "manifest.json").write_bytes(module._bytes({**manifest, "seal": module._seal(manifest)}))
    with pytest.raises(BundleError, match="no plain path"):
        load(folder)


def test_another_format_is_said_to_be_one(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(BundleError, match=r"format 2, this matinee reads format 1"):
        load(folder)


def test_wrong_shapes_and_types_are_refused_though_sealed(folder):
    path = folder / "parts" / "ease" / "weights.safetensors"
    good = path.read_bytes()
    for wrong in (np.zeros((8, 7), np.float32), np.zeros((8, 8), np.float64)):
        write_tensors(path, {"weights": wrong})
        rewrite(folder)
        with pytest.raises(BundleError, match="weights"):
            load(folder)
    path.write_bytes(good)
    write_tensors(folder / "popularity.safetensors", {"popularity": np.zeros(3, np.float32)})
    rewrite(folder)
    with pytest.raises(BundleError, match="popularity"):
        load(folder)


@pytest.mark.parametrize("codes", [[8], [-1], [0, 0]])
def test_codes_outside_the_catalogue_are_refused_though_sealed(folder, codes):
    table = pa.table({"viewer": pa.array([0] * len(codes), pa.int32()), "item": pa.array(codes, pa.int32())})
    pq.write_table(table, folder / "histories.parquet")
    rewrite(folder)
    with pytest.raises(BundleError, match=r"histories\.parquet"):
        load(folder)


def test_other_answers_than_the_golden_ones_are_refused(folder):
    path = folder / "parts" / "ease" / "weights.safetensors"
    weights = np.array(read_tensors(path)["weights"])
    weights[:, 3] = 0x3F80  # one, as bf16
    write_tensors(path, {"weights": weights})
    rewrite(folder)
    with pytest.raises(BundleError, match="answered otherwise"):
        load(folder)


def test_a_folder_that_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        load(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"manifest\.json: missing"):
        load(tmp_path)


def test_nothing_but_a_bundle_is_overwritten(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        model.save(tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        model.save(tmp_path / "full")
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")
    load(tmp_path / "empty")


def test_a_failed_write_leaves_the_old_bundle(model, folder, monkeypatch):
    seal = read_manifest(folder)["seal"]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "write_manifest", full_disk)
    with pytest.raises(OSError, match="No space"):
        model.save(folder)
    monkeypatch.undo()
    assert read_manifest(folder)["seal"] == seal
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
    model.save(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


def test_the_buried_are_strangers_now_and_after_the_next_save(model, folder):
    bury(folder, frozenset(["u/1"]))
    bury(folder, frozenset(['u "2"', "never here"]))
    loaded = load(folder)
    assert loaded.deleted == {"u/1", 'u "2"', "never here"}
    assert loaded.recommend(["u/1", "u,3"], k=2).sources == ["fallback:popular", "ease"]
    assert not len(loaded.log.histories.row(0))
    assert len(loaded.log.histories.row(2)) == 1
    model.save(folder)
    assert read_tombstones(folder) == loaded.deleted


@pytest.mark.parametrize("text", ["{", "[]", '{"viewers": "u/1"}', '{"viewers": [1]}'])
def test_an_unreadable_tombstone_file_is_refused(folder, text):
    (folder / "tombstones.json").write_text(text)
    with pytest.raises(BundleError, match=r"tombstones\.json"):
        load(folder)


def test_tensors_of_every_type_come_back(tmp_path):
    arrays = {
        "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f2": np.arange(3, dtype=np.float16),
        "u2": np.arange(5, dtype=np.uint16),
        "i8": np.array(7, dtype=np.int64),
        "b": np.array([True, False]),
        "none": np.zeros((0, 4), dtype=np.int32),
    }
    write_tensors(tmp_path / "t", arrays)
    back = read_tensors(tmp_path / "t")
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array), name


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 1, "x": NaN}', '{"a":' * 5_000 + "1" + "}" * 5_000]
)
def test_a_hostile_manifest_is_refused_in_one_sentence(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load(folder)


def test_hostile_golden_queries_are_refused_though_sealed(folder):
    (folder / "golden.json").write_text("[" * 100_000)
    rewrite(folder)
    with pytest.raises(BundleError, match="do not fit together"):
        load(folder)


@pytest.mark.parametrize("name", [".DS_Store", "parts/Thumbs.db", "parts/ease/desktop.ini"])
def test_what_file_managers_leave_is_no_part_and_no_harm(model, folder, name):
    (folder / name).write_bytes(b"x")
    assert load(folder).name == "ease"
    model.save(folder)
    assert not (folder / name).exists()


def test_a_bundle_is_written_where_a_file_manager_looked(model, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".DS_Store").write_bytes(b"x")
    model.save(tmp_path / "b")
    assert load(tmp_path / "b").name == "ease"


@pytest.mark.parametrize("name", ["more", "parts/more", "parts/more/and/more"])
def test_an_empty_folder_more_is_named(folder, name):
    (folder / name).mkdir(parents=True)
    with pytest.raises(BundleError, match=f"{name}: it is not part of the bundle"):
        load(folder)


def test_tombstones_that_are_a_folder_and_a_bundle_that_is_a_file(folder, tmp_path):
    (folder / "tombstones.json").mkdir()
    with pytest.raises(BundleError, match=r"tombstones\.json: it is not part of the bundle"):
        load(folder)
    with pytest.raises(BundleError, match=r"tombstones\.json: expected a plain file"):
        read_tombstones(folder)
    (tmp_path / "some.csv").write_text("user")
    with pytest.raises(BundleError, match=r"some\.csv is a file: name the folder"):
        load(tmp_path / "some.csv")


def test_a_full_disk_is_told_with_its_number_and_the_bundles_name(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "weights.safetensors")

    monkeypatch.setattr("matinee.answers.tensors._write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        model.save(tmp_path / "b")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))
    assert not list(tmp_path.iterdir())
