"""Trials as runs of an MLflow server: where MLFLOW_TRACKING_URI names one, each ended trial is logged there.

Spoken over MLflow's REST interface 2.0, which every server since MLflow 1 has: nothing is to be installed.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from matinee.core.errors import InputError, MatineeError
from matinee.tune.steps import whole_steps
from matinee.tune.trial import Trial

# What one request may hold, by MLflow's own limits.
_METRICS, _PARAMS, _VALUE_LETTERS = 1000, 100, 500
_TIMEOUT_S = 20.0
_STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True, kw_only=True)
class MlflowServer:
    """An experiment of a server; made by `connect`.

    Attributes:
        uri: of the server, without a slash at its end.
        headers: of every request.
        experiment: the experiment's id there.
        study: what tells the runs of this study from those of another in the same experiment.
    """

    uri: str
    headers: Mapping[str, str]
    experiment: str
    study: str

    def log(self, trial: Trial) -> bool:
        """Write a trial that has ended as a run, with its settings, its curve and its dollars.

        Returns:
            Whether it was written: a run that is there already, as after a restart, stays as it is.

        Raises:
            MatineeError: the server does not answer, or says no.
        """
        now = int(1000 * time.time())
        run, ended = self._find(trial)
        if ended:
            return False
        if run is None:
            run = self._create(trial, now)
        params = [
            {"key": _key(name), "value": _text(value)[:_VALUE_LETTERS]}
            for name, value in trial.settings.items()
        ]
        for at in range(0, len(params), _PARAMS):
            self._post("runs/log-batch", {"run_id": run, "params": params[at : at + _PARAMS]})
        metrics = _metrics(trial, now)
        for at in range(0, len(metrics), _METRICS):
            self._post("runs/log-batch", {"run_id": run, "metrics": metrics[at : at + _METRICS]})
        status = _STATUS.get(trial.state, "KILLED")
        self._post("runs/update", {"run_id": run, "status": status, "end_time": now})
        return True

    def _find(self, trial: Trial) -> tuple[str | None, bool]:
        """The run of a trial, and whether it has ended there."""
        words = f"tags.`matinee.study` = '{self.study}' and tags.`matinee.trial` = '{trial.number}'"
        asked = {"experiment_ids": [self.experiment], "filter": words, "max_results": 1}
        runs = self._post("runs/search", asked).get("runs") or []
        if not runs:
            return None, False
        return runs[0]["info"]["run_id"], runs[0]["info"].get("status") != "RUNNING"

    def _create(self, trial: Trial, now: int) -> str:
        told = {
            "study": self.study,
            "trial": trial.number,
            "why": trial.why,
            "state": trial.state,
            "seed": trial.seed,
            "reason": trial.reason,
            "repeats": trial.repeats,
            "region": trial.region,
        }
        tags = [
            {"key": f"matinee.{name}", "value": str(value)}
            for name, value in told.items()
            if value is not None
        ]
        asked = {
            "experiment_id": self.experiment,
            "run_name": f"trial {trial.number}",
            "start_time": now - round(1000 * trial.seconds),
            "tags": tags,
        }
        return str(self._post("runs/create", asked)["run"]["info"]["run_id"])

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _asked(self.uri, path, self.headers, body)


def connect(name: str, study: str, environment: Mapping[str, str] | None = None) -> MlflowServer | None:
    """The experiment of a study on the server that MLFLOW_TRACKING_URI names, made where it is not there.

    MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, open the door.

    Args:
        name: of the experiment.
        study: what tells this study's runs from those of another, such as its fingerprint.
        environment: variables; None: those of this process.

    Returns:
        None: MLFLOW_TRACKING_URI is not set.

    Raises:
        InputError: it names no server.
        MatineeError: the server does not answer, or says no.
    """
    environment = os.environ if environment is None else environment
    uri = environment.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    if not uri:
        return None
    if not uri.startswith(("http://", "https://")):
        # What stands behind a scheme may hold a password.
        shown = f"{uri.partition('://')[0]}://..." if "://" in uri else uri
        raise InputError(
            f"MLFLOW_TRACKING_URI is {shown!r}: expected a server such as http://localhost:5000; trials are "
            "not logged to MLflow."
        )
    uri, door = _door(uri, environment)
    headers = {"Content-Type": "application/json", **door}
    found = _experiment(uri, name, headers)
    if found is None:
        try:
            found = str(_asked(uri, "experiments/create", headers, {"name": name})["experiment_id"])
        except MatineeError:
            # Somebody else made it between the two requests.
            found = _experiment(uri, name, headers)
            if found is None:
                raise
    # It stands in a filter, between quotes.
    study = re.sub(r"[^\w-]", "-", study, flags=re.ASCII)
    return MlflowServer(uri=uri, headers=headers, experiment=found, study=study)


def _experiment(uri: str, name: str, headers: Mapping[str, str]) -> str | None:
    path = f"experiments/get-by-name?experiment_name={quote(name, safe='')}"
    answer = _asked(uri, path, headers, None)
    return str(answer["experiment"]["experiment_id"]) if answer else None


def _door(uri: str, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address without a name and a password in it, and the header that opens the door."""
    parts = urlsplit(uri)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return bare, {"Authorization": f"Bearer {token}"}
    user = environment.get("MLFLOW_TRACKING_USERNAME") or unquote(parts.username or "")
    if not user:
        return bare, {}
    password = environment.get("MLFLOW_TRACKING_PASSWORD") or unquote(parts.password or "")
    words = base64.b64encode(f"{user}:{password}".encode()).decode()
    return bare, {"Authorization": f"Basic {words}"}


def _asked(uri: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the server answers; nothing where it knows no such thing and there was nothing to write."""
    address = f"{uri}/api/2.0/mlflow/{path}"
    # Only addresses of http and https come here: `connect` refuses others.
    data = None if body is None else json.dumps(body).encode()
    request = Request(address, data=data, headers=dict(headers))  # noqa: S310
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
            return found
    except HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        if error.code == 404 and body is None and "RESOURCE_DOES_NOT_EXIST" in said:
            return {}
        raise MatineeError(
            f"MLflow at {uri} said {error.code} to {path.partition('?')[0]}: {said[:300]}."
        ) from error
    except (URLError, OSError, ValueError) as error:
        raise MatineeError(f"MLflow at {uri} does not answer: {error}.") from error


def _metrics(trial: Trial, now: int) -> list[dict[str, Any]]:
    """What a trial reported, step by step, then what it came to."""
    steps = whole_steps(trial.curve)
    rows = [
        (name, value, step)
        for step, point in zip(steps, trial.curve, strict=True)
        for name, value in (("value", point.value), ("dollars", point.dollars))
    ]
    last = steps[-1] if steps else 0
    ends = {
        "final_value": trial.value,
        "total_dollars": trial.dollars,
        "lost_dollars": trial.lost_dollars,
        "seconds": trial.seconds,
    }
    rows += [(name, value, last) for name, value in ends.items() if value is not None]
    return [
        {"key": name, "value": value, "timestamp": now, "step": step}
        for name, value, step in rows
        if math.isfinite(value)
    ]


def _key(name: str) -> str:
    """A setting's name in the letters that MLflow takes."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)[:250]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)
