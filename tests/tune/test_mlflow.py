"""Trials on an MLflow server: a small one here, which keeps to the rules of MLflow's own documents."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.tune.test_optuna_export import TRIALS

from matinee.core.errors import InputError, MatineeError
from matinee.tune.mlflow import connect
from matinee.tune.trial import Point, Trial

KEY = re.compile(r"[\w\-./ ]{1,250}", re.ASCII)


class Refused(Exception):
    pass


class Tracking(BaseHTTPRequestHandler):
    """Experiments and runs in memory; `server` holds them. Params are written once, metrics are appended."""

    def do_GET(self):
        self.answer(None)

    def do_POST(self):
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body):
        place = urlsplit(self.path)
        path = place.path.removeprefix("/api/2.0/mlflow/").replace("/", "_").replace("-", "_")
        try:
            if self.server.door and self.headers.get("Authorization") != self.server.door:
                raise Refused(401, "UNAUTHENTICATED")
            words = body if body is not None else {k: v[0] for k, v in parse_qs(place.query).items()}
            status, found = 200, getattr(self, path)(**words)
        except Refused as refused:
            status, found = refused.args[0], {"error_code": refused.args[1], "message": "no"}
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        pass

    def experiments_get_by_name(self, experiment_name):
        if experiment_name not in self.server.experiments:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST")
        return {"experiment": {"experiment_id": self.server.experiments[experiment_name]}}

    def experiments_create(self, name):
        if name in self.server.experiments:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS")
        self.server.experiments[name] = str(len(self.server.experiments) + 1)
        return {"experiment_id": self.server.experiments[name]}

    def runs_create(self, experiment_id, run_name, start_time, tags):
        assert experiment_id in self.server.experiments.values()
        run = {"id": f"r{len(self.server.runs)}", "status": "RUNNING", "params": {}, "metrics": []}
        run |= {"name": run_name, "start": start_time, "tags": {tag["key"]: tag["value"] for tag in tags}}
        self.server.runs[run["id"]] = run
        return {"run": {"info": {"run_id": run["id"], "status": "RUNNING"}}}

    def runs_log_batch(self, run_id, params=(), metrics=()):
        if len(params) > 100 or len(metrics) > 1000:
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        run = self.server.runs[run_id]
        for param in params:
            value = run["params"].setdefault(param["key"], param["value"])
            if not KEY.fullmatch(param["key"]) or len(value) > 500 or value != param["value"]:
                raise Refused(400, "INVALID_PARAMETER_VALUE")
        for metric in metrics:
            if type(metric["step"]) is not int or type(metric["timestamp"]) is not int:
                raise Refused(400, "INVALID_PARAMETER_VALUE")
            run["metrics"].append((metric["key"], metric["step"], metric["value"]))
        return {}

    def runs_update(self, run_id, status, end_time):
        assert status in ("FINISHED", "FAILED", "KILLED")
        self.server.runs[run_id] |= {"status": status, "end": end_time}
        return {"run_info": {}}

    def runs_search(self, experiment_ids, filter, max_results):
        wanted = dict(re.findall(r"tags\.`([^`]+)` = '([^']*)'", filter))
        assert len(wanted) == 2
        found = [run for run in self.server.runs.values() if wanted.items() <= run["tags"].items()]
        infos = [{"info": {"run_id": run["id"], "status": run["status"]}} for run in found]
        return {"runs": infos[:max_results]} if infos else {}


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Tracking) as one:
        one.experiments, one.runs, one.door = {}, {}, None
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def address(server, **more):
    return {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.server_port}/", **more}


def test_each_trial_is_a_run_with_its_settings_its_curve_and_its_dollars(server):
    place = connect("nights", "it's 1", address(server))
    assert [place.log(trial) for trial in TRIALS[:3]] == [True] * 3
    done, stopped, failed = server.runs.values()
    assert [run["status"] for run in (done, stopped, failed)] == ["FINISHED", "KILLED", "FAILED"]
    assert done["params"] == {"rate": "0.1", "layers": "2", "decays": "[0.9]", "momentum": "0.9"}
    assert [row for row in done["metrics"] if row[0] == "value"] == [("value", 1, 0.2), ("value", 2, 0.5)]
    assert ("dollars", 1, 0.01) in done["metrics"]
    assert ("final_value", 2, 0.5) in done["metrics"]
    assert ("total_dollars", 2, 0.02) in done["metrics"]
    assert done["end"] - done["start"] == 40_000
    assert (done["name"], done["tags"]["matinee.why"]) == ("trial 1", "given")
    assert failed["tags"]["matinee.reason"] == "out of memory"
    assert "final_value" not in {name for name, _, _ in stopped["metrics"]}


def test_a_trial_is_logged_once_whoever_starts_again(server):
    assert connect("nights", "1", address(server)).log(TRIALS[0])
    again = connect("nights", "1", address(server))
    assert not again.log(TRIALS[0])
    # Cut short between two requests, a run is still open there: it is finished, not made again.
    (run,) = server.runs.values()
    run["status"] = "RUNNING"
    assert again.log(TRIALS[0])
    assert len(server.runs) == 1
    # Another study of the same experiment has trials of its own.
    assert connect("nights", "2", address(server)).log(TRIALS[0])
    assert len(server.runs) == 2
    assert server.experiments == {"nights": "1"}


def test_long_curves_and_many_settings_go_in_pieces(server):
    curve = tuple(Point(step=step, value=1.0, dollars=float(step)) for step in range(1, 1500))
    settings = {f"a:{at}": "x" * 900 for at in range(230)}
    trial = Trial(number=1, settings=settings, state="done", value=float("inf"), curve=curve)
    connect("nights", "1", address(server)).log(trial)
    (run,) = server.runs.values()
    assert len(run["params"]) == 230
    assert set(run["params"].values()) == {"x" * 500}
    assert len([row for row in run["metrics"] if row[0] == "value"]) == 1499
    # What is no number is none of MLflow's.
    assert not [row for row in run["metrics"] if row[0] == "final_value"]


def test_a_name_and_a_password_open_the_door_and_are_not_told(server):
    server.door = "Basic bWU6c2VjcmV0"
    with pytest.raises(MatineeError, match="said 401 to experiments/get-by-name"):
        connect("nights", "1", address(server))
    user = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}
    assert connect("nights", "1", address(server, **user)).log(TRIALS[0])
    inside = {"MLFLOW_TRACKING_URI": f"http://me:secret@127.0.0.1:{server.server_port}"}
    place = connect("nights", "1", inside)
    assert "secret" not in place.uri
    assert place.log(TRIALS[1])
    server.door = "Bearer abc"
    assert connect("nights", "1", address(server, **{"MLFLOW_TRACKING_TOKEN": "abc"})).log(TRIALS[2])


def test_where_no_server_is_named_nothing_is_said_and_where_none_answers_a_sentence_is(server):
    assert connect("nights", "1", {}) is None
    with pytest.raises(InputError, match=r"'\./mlruns': expected a server such as http://localhost:5000"):
        connect("nights", "1", {"MLFLOW_TRACKING_URI": "./mlruns"})
    with pytest.raises(InputError, match=r"is 'postgresql://\.\.\.': expected a server"):
        connect("nights", "1", {"MLFLOW_TRACKING_URI": "postgresql://me:secret@host/mlflow"})
    place = connect("nights", "1", address(server))
    server.shutdown()
    server.server_close()
    with pytest.raises(MatineeError, match="does not answer"):
        place.log(TRIALS[0])
