"""One list as JSON, and everybody's as a table that survives a kill."""

import csv
import errno
import json
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matinee.answers.manifest import bury
from matinee.answers.model import load, model_of
from matinee.answers.rules import Rules
from matinee.core.errors import DataError, InputError, TooLarge
from matinee.core.promise import Part
from matinee.core.types import Histories
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary
from matinee.recipes import nightly, recommend
from matinee.recipes.nightly import FileTable, Plan
from matinee.recipes.recommend import but_heading, read_ids, recommend_all, recommend_one

AWKWARD = ["a/b", 'c "d"', "e,f", " g h ", "øüñ", "new\nline", "tab\there", "back\\slash"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle of 90 viewers with awkward ids, and 8 items with awkward ids."""
    random = np.random.default_rng(3)
    lengths = random.integers(0, 6, 90)
    viewers = [f"{AWKWARD[n % 8]}{n}" for n in range(90)]
    log = InteractionLog(
        viewers=Vocabulary(viewers),
        items=Vocabulary(AWKWARD),
        histories=Histories(
            items=random.integers(0, 8, lengths.sum()).astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        ),
        item_table=pa.table({"id": AWKWARD, "title": [f"Film {n}" for n in range(8)]}),
        fingerprint="f" * 64,
    )
    part = Part(kind="linear", settings={}, tensors={"weights": random.random((8, 8)).astype(np.float32)})
    place = tmp_path_factory.mktemp("bundles") / "b"
    model_of("ease", {}, part, log).save(place)
    return place


@pytest.fixture
def model(folder, monkeypatch):
    monkeypatch.setattr(recommend, "CHUNK", 20)
    return load(folder)


def stop_after(model, chunks):
    """The model of a run that is killed once some chunks are finished."""
    left = [chunks]

    class Killed(type(model)):
        def answer(self, *rest):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return super().answer(*rest)

    return Killed(**{name: getattr(model, name) for name in model.__dataclass_fields__})


def test_the_json_of_one_list(model):
    user = model.log.viewers.id(int(np.argmax(model.log.histories.lengths)))
    found = json.loads(json.dumps(recommend_one(model, user=user, k=3)))
    assert {"user", "source", "recommendation_id", "items"} <= set(found)
    assert found["user"] == user
    assert found["source"] == "ease"
    top = model.recommend([user], k=3)
    assert [one["item"] for one in found["items"]] == [item for item in top.items[0] if item is not None]
    for one in found["items"]:
        assert set(one) == {"item", "title", "score", "reasons"}
        assert one["title"].startswith("Film")
        assert one["reasons"][0].startswith("because you watched Film")
    assert recommend_one(model, user=user, k=3) == recommend_one(model, user=user, k=3)


def test_the_json_of_a_newcomer(model):
    found = recommend_one(model, user="stranger", k=2)
    assert found["source"] == "fallback:popular"
    assert [one["reasons"] for one in found["items"]] == [["popular now"]] * 2
    found = recommend_one(model, history=["a/b", "unheard of"], k=2)
    assert (found["user"], found["source"], found["unknown"]) == (None, "ease", 1)
    with pytest.raises(InputError, match="not both"):
        recommend_one(model, user="stranger", history=["a/b"])


def test_everybodys_list_is_what_each_would_be_told(model, tmp_path):
    out = tmp_path / "recs.parquet"
    written = recommend_all(model, str(out), k=3)
    users = model.log.viewers.ids(range(90))
    expected = model.recommend(users, k=3).to_arrow()
    assert pq.read_table(out).cast(expected.schema).equals(expected)
    assert pq.ParquetFile(out).num_row_groups == 5
    assert (written.viewers, written.kept, written.output) == (90, 0, str(out))
    assert [path.name for path in tmp_path.iterdir()] == ["recs.parquet"]


def test_csv_holds_awkward_ids_whole(model, tmp_path):
    out = tmp_path / "recs.csv"
    recommend_all(model, str(out), k=3)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = model.recommend(model.log.viewers.ids(range(90)), k=3).to_arrow().to_pylist()
    assert [(row["user"], int(row["rank"]), row["item"], row["source"]) for row in rows] == [
        (row["user"], row["rank"], row["item"], row["source"]) for row in expected
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx([row["score"] for row in expected])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_killed_run_goes_on_and_ends_with_the_same_file(model, tmp_path, ending):
    whole, out = tmp_path / f"whole.{ending}", tmp_path / f"recs.{ending}"
    recommend_all(model, str(whole), k=3)
    with pytest.raises(KeyboardInterrupt):
        recommend_all(stop_after(model, 3), str(out), k=3)
    assert not out.exists()
    written = recommend_all(stop_after(model, 2), str(out), k=3)
    assert written.kept == 60
    assert out.read_bytes() == whole.read_bytes()
    assert recommend_all(model, str(out), k=3).kept == 0


def test_another_call_does_not_go_on_with_these_chunks(model, tmp_path):
    out = str(tmp_path / "recs.parquet")
    changes = ({"k": 4}, {"k": 3, "rules": Rules(exclude=["a/b"])}, {"k": 3, "users": ["stranger"]})
    for change in changes:
        with pytest.raises(KeyboardInterrupt):
            recommend_all(stop_after(model, 3), out, k=3)
        assert recommend_all(model, out, **change).kept == 0
    with pytest.raises(KeyboardInterrupt):
        recommend_all(stop_after(replace(model, fingerprint=""), 3), out, k=3)
    assert recommend_all(replace(model, fingerprint=""), out, k=3).kept == 0


def test_a_second_run_to_the_same_file_is_refused(model, tmp_path):
    out = tmp_path / "recs.parquet"
    recommend_all(model, str(tmp_path / "whole.parquet"), k=3)
    told = []

    def start_another(_doing, share):
        if 0.3 < share < 0.9:
            with pytest.raises(InputError, match=r"recs\.parquet: another run is writing it") as caught:
                recommend_all(model, str(out), k=2)
            told.append(caught.value)

    recommend_all(model, str(out), k=3, progress=start_another)
    assert len(told) >= 2
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recs.parquet", "whole.parquet"]


def test_another_process_is_refused_too(tmp_path):
    out = tmp_path / "recs.csv"
    program = f"""
        from matinee.recipes.nightly import FileTable
        with FileTable({str(out)!r}):
            pass
    """
    run = [sys.executable, "-c", textwrap.dedent(program)]
    with FileTable(str(out)):
        refused = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "another run is writing it" in refused.stderr
    assert subprocess.run(run, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["a chunk gone", "a chunk too many", "another plan"])
def test_chunks_that_are_not_all_there_are_no_table(model, tmp_path, change):
    out, parts = tmp_path / "recs.parquet", tmp_path / ".recs.parquet.parts"

    def meddle(doing, _share):
        if doing.startswith("80"):
            if change == "a chunk gone":
                (parts / "00000001.part").unlink()
            elif change == "a chunk too many":
                (parts / "00000009.part").write_bytes((parts / "00000001.part").read_bytes())
            else:
                (parts / "plan.json").write_text(json.dumps({"key": "another", "now_ms": 0}))

    with pytest.raises(InputError, match=r"delete that folder"):
        recommend_all(model, str(out), k=3, progress=meddle)
    assert not out.exists()


def test_a_full_disk_is_named_and_what_is_finished_kept(model, tmp_path, monkeypatch):
    out, written = tmp_path / "recs.parquet", []
    write_table = nightly.pq.write_table

    def fill(table, path, **more):
        written.append(path)
        write_table(table, path, **more)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr(nightly.pq, "write_table", fill)
    with pytest.raises(TooLarge, match=r"recs\.parquet: No space left on device\. What is finished is kept"):
        recommend_all(model, str(out), k=3)
    assert not written[2].exists()
    assert recommend_all(model, str(out), k=3).kept == 40


def test_a_kill_while_the_parts_go_promises_no_chunk(tmp_path, monkeypatch):
    sink = FileTable(str(tmp_path / "recs.csv"))
    table = nightly.SCHEMA.empty_table()
    unlink = nightly.Path.unlink

    def kill(path, **more):
        if path.suffix == ".part":
            raise KeyboardInterrupt
        unlink(path, **more)

    with sink:
        sink.begin(Plan(key="one", now_ms=1))
        sink.write(0, table)
        sink.write(1, table)
        monkeypatch.setattr(nightly.Path, "unlink", kill)
        with pytest.raises(KeyboardInterrupt):
            sink.finish(2)
        monkeypatch.undo()
    with sink:
        assert sink.begin(Plan(key="one", now_ms=2)) == (Plan(key="one", now_ms=2), frozenset())


def test_a_run_that_goes_on_keeps_the_first_ones_moment(model, tmp_path, monkeypatch):
    moments = iter([1_000, 2_000])
    seen = []
    monkeypatch.setattr(Rules, "now_ms", property(lambda self: self.now or next(moments)))
    shelf = recommend.Shelf
    monkeypatch.setattr(recommend, "Shelf", lambda log, rules: seen.append(rules.now) or shelf(log, rules))
    with pytest.raises(KeyboardInterrupt):
        recommend_all(stop_after(model, 1), str(tmp_path / "r.csv"))
    recommend_all(model, str(tmp_path / "r.csv"))
    assert seen == [1_000, 1_000]


def test_some_viewers_each_once_strangers_too(model, tmp_path):
    out = tmp_path / "recs.parquet"
    some = [model.log.viewers.id(5), "stranger", model.log.viewers.id(5)]
    recommend_all(model, str(out), users=some, k=2)
    table = pq.read_table(out)
    assert table.column("user").unique().to_pylist() == some[:2]
    assert table.column("source").to_pylist()[-1] == "fallback:popular"


def test_the_deleted_are_in_nobodys_table(model, folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "b")
    gone = model.log.viewers.id(7)
    bury(tmp_path / "b", frozenset([gone, "never here"]))
    recommend_all(load(tmp_path / "b"), str(tmp_path / "recs.csv"), k=2)
    with (tmp_path / "recs.csv").open(newline="", encoding="utf-8") as file:
        users = {row["user"] for row in csv.DictReader(file)}
    assert gone not in users
    assert users == set(model.log.viewers.ids([n for n in range(90) if n != 7]))


@pytest.mark.parametrize(
    ("output", "words"),
    [("recs.txt", "ends in .parquet or .csv"), ("no/such/folder/recs.csv", "no file can be written there")],
)
def test_an_output_that_cannot_be(model, tmp_path, output, words):
    with pytest.raises(InputError, match=words):
        recommend_all(model, str(tmp_path / output))


def test_a_first_line_is_a_heading_unless_it_is_an_id():
    assert but_heading(["User_ID ", "a"], {"a"}) == ["a"]
    assert but_heading(["user", "a"], {"user", "a"}) == ["user", "a"]
    assert but_heading(["b", "user"], {"a"}) == ["b", "user"]
    assert but_heading(["user"], {"a"}) == ["user"]


@pytest.mark.parametrize("asked", [{"user": ""}, {"user": " \t"}, {"history": ["a/b", " "]}])
def test_a_blank_id_is_refused(model, asked):
    with pytest.raises(InputError, match="blank id"):
        recommend_one(model, **asked)


def test_ids_from_files(tmp_path):
    (tmp_path / "plain").write_text("user\na/b\n\n  \n e,f \r\n", encoding="utf-8")
    assert read_ids(str(tmp_path / "plain")) == ["user", "a/b", " e,f "]
    pq.write_table(pa.table({"item": ["7", "007"]}), tmp_path / "table")
    assert read_ids(str(tmp_path / "table")) == ["7", "007"]
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="found none"):
        read_ids(str(tmp_path / "empty"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_ids(str(tmp_path / "bytes"))
