"""What is in Gorse becomes a log: from files, and from a running server page by page."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest

import matinee
from matinee.core.errors import DataError, InputError
from matinee.data.options import LogOptions
from matinee.recipes.import_gorse import import_gorse
from matinee.testing.one_server import one_server, write_small_bundle

AT = "2024-05-01T12:00:00Z"
FEEDBACK = [
    {"FeedbackType": "watch", "UserId": "u1", "ItemId": "i1", "Value": 2, "Timestamp": AT, "Comment": ""},
    {"FeedbackType": "like", "UserId": "u1", "ItemId": "i2", "Value": 0, "Timestamp": AT},
    {"FeedbackType": "watch", "UserId": "u2", "ItemId": "i1", "Timestamp": "0001-01-01T00:00:00Z"},
]
ITEMS = [
    {
        "ItemId": "i1",
        "IsHidden": False,
        "Categories": ["Crime", "Drama"],
        "Timestamp": AT,
        "Labels": {"year": 1999, "tags": ["a", "b"], "deep": {"x": 1}, "title": "taken"},
        "Comment": "First",
    },
    {
        "ItemId": "i2",
        "IsHidden": True,
        "Categories": None,
        "Timestamp": "0001-01-01T00:00:00Z",
        "Labels": ["z"],
    },
]
USERS = [{"UserId": "u1", "Labels": {"region": "north"}, "Comment": "one"}, {"UserId": "u2", "Labels": None}]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("form", ["lines", "arrays", "pages", "pretty"])
def test_files_become_a_log(tmp_path, form):
    source = tmp_path / "gorse"
    source.mkdir()
    for kind, rows in (("Users", USERS), ("Items", ITEMS), ("Feedback", FEEDBACK)):
        text = {
            "lines": lines(rows),
            "arrays": json.dumps(rows),
            "pages": lines([{"Cursor": "x", kind: rows[:1]}, {"Cursor": "", kind: rows[1:]}]),
            "pretty": json.dumps({"Cursor": "", kind: rows}, indent=2),
        }[form]
        (source / f"{kind.lower()}.json").write_text(text)
    told = import_gorse(str(source), tmp_path / "log")
    assert (told.events, told.items, told.viewers) == (2, 2, 2)
    assert told.kinds == {"watch": 1, "like": 1}
    assert told.notes == ["1 feedback without a time left out"]
    assert pq.read_table(tmp_path / "log/log.parquet").to_pylist() == [
        {"viewer": "u1", "item": "i1", "time": 1_714_564_800_000, "kind": "watch", "value": 2.0},
        {"viewer": "u1", "item": "i2", "time": 1_714_564_800_000, "kind": "like", "value": None},
    ]
    first, second = pq.read_table(tmp_path / "log/items.parquet").to_pylist()
    assert first == {
        "id": "i1",
        "title": "First",
        "genres": ["Crime", "Drama"],
        "available_from": 1_714_564_800_000,
        "hidden": False,
        "year": 1999,
        "tags": ["a", "b"],
        "deep": '{"x": 1}',
        "title_label": "taken",
        "labels": None,
    }
    assert (second["title"], second["available_from"], second["hidden"]) == (None, None, True)
    assert pq.read_table(tmp_path / "log/viewers.parquet").to_pylist() == [
        {"id": "u1", "comment": "one", "region": "north"},
        {"id": "u2", "comment": None, "region": None},
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{**FEEDBACK[0], "Timestamp": "someday"}], "row 1, column 'Timestamp': expected a time"),
        ([FEEDBACK[0], {**FEEDBACK[0], "UserId": 5}], "row 2, column 'UserId': expected an id"),
        ([{**FEEDBACK[0], "Value": "much"}], "row 1, column 'Value': expected a number"),
        ([{"Name": "x"}], "expected a feedback, an item or a user"),
        (["text"], "expected a JSON object"),
    ],
)
def test_a_bad_record_is_named(tmp_path, rows, words):
    (tmp_path / "f.jsonl").write_text(lines(rows))
    with pytest.raises(DataError, match=words):
        import_gorse(str(tmp_path / "f.jsonl"), tmp_path / "log")


def test_a_line_that_is_no_json_is_named(tmp_path):
    (tmp_path / "f.jsonl").write_text(lines(FEEDBACK) + "{not json\n")
    with pytest.raises(DataError, match="row 4: the line is no JSON"):
        import_gorse(str(tmp_path / "f.jsonl"), tmp_path / "log")


def test_a_running_server_is_read_whole_and_served_again(tmp_path):
    with one_server([write_small_bundle(tmp_path / "films")], tmp_path / "store.db", keyed=True) as server:
        key = server.do(server.keys.make("import", ["read", "write"]))[1]
        told = import_gorse(server.url, tmp_path / "log", key=key)
        with pytest.raises(InputError, match="another key"):
            import_gorse(server.url, tmp_path / "other", key="wrong")
    assert (told.items, told.viewers) == (200, 600)
    sides = LogOptions(items=tmp_path / "log/items.parquet", viewers=tmp_path / "log/viewers.parquet")
    log = matinee.read_log(tmp_path / "log/log.parquet", sides)
    assert (log.n_items, log.n_viewers) == (200, 600)
    assert len(log) == told.events > 10_000
    assert log.item_table.column("title")[log.items.code("i026")].as_py() == "Young Umbrella: Episode 2"


@contextmanager
def answering(*answers):
    """A server that answers each request with the next of some (status, text)."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = left.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(kind, rows, cursor=""):
    return 200, json.dumps({"Cursor": cursor, kind: rows})


def test_a_server_that_stumbles_is_asked_again(tmp_path):
    answers = [
        (503, "later"),
        page("Users", USERS),
        page("Items", None),
        page("Feedback", FEEDBACK[:1], "c"),
        page("Feedback", FEEDBACK[1:]),
    ]
    with answering(*answers) as url:
        assert import_gorse(url, tmp_path / "log").events == 2


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([(404, "nothing here")], "answered 404"),
        ([(200, "<html>")], "its answer is no JSON"),
        ([(200, "[]")], "did not answer as Gorse does"),
        ([page("Users", USERS, "c"), page("Users", USERS, "c")], "twice: paging would never end"),
    ],
)
def test_a_server_that_is_no_gorse_is_refused(tmp_path, answers, words):
    with answering(*answers) as url, pytest.raises(InputError, match=words):
        import_gorse(url, tmp_path / "log")


def test_a_server_that_is_not_there(tmp_path):
    with answering() as url:
        pass
    with pytest.raises(InputError, match="cannot be reached"):
        import_gorse(url, tmp_path / "log")
    with pytest.raises(InputError, match="Expected the address of a server"):
        import_gorse("ftp://films", tmp_path / "log")
    with pytest.raises(DataError, match="no such file"):
        import_gorse(str(tmp_path / "nowhere"), tmp_path / "log")


def test_a_key_is_taken_nowhere_else_and_no_password_is_repeated(tmp_path):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/stolen")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(InputError, match="sends to another address"):
            import_gorse(f"http://127.0.0.1:{server.server_port}", tmp_path / "log", key="mine")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(asked) == 1
    for url in ("http://me:hush@127.0.0.1:1", "http://[", "http://"):
        with pytest.raises(InputError, match="Expected the address") as caught:
            import_gorse(url, tmp_path / "log")
        assert "hush" not in str(caught.value)
    with pytest.raises(InputError, match="is no address"):
        import_gorse("http://localhost:port", tmp_path / "log")
