"""The description says everything that the native face does, and nothing else."""

import json
import subprocess
import sys

import jsonschema_rs
import pytest
from tests.serve.web_world import world

from matinee.serve.native import OPERATIONS, description
from matinee.serve.replies import SECURITY
from matinee.serve.service import Limits

DESCRIBED = description()
ALL = [(path, method, one) for path, methods in DESCRIBED["paths"].items() for method, one in methods.items()]


def schema_of(schema):
    return jsonschema_rs.validator_for({**schema, "components": DESCRIBED["components"]})


def test_every_operation_is_described_once():
    assert {(path, method) for path, method, _ in ALL} >= {
        (one.path, one.method.lower()) for one in OPERATIONS
    }
    names = [one["operationId"] for _, _, one in ALL]
    assert len(set(names)) == len(names)
    for path, _, one in ALL:
        assert one["summary"]
        assert {f"{{{each['name']}}}" for each in one["parameters"] if each["in"] == "path"} == {
            part for part in path.split("/") if part.startswith("{")
        }


@pytest.mark.parametrize(("path", "method", "one"), ALL)
def test_every_status_and_header_is_described(path, method, one):
    responses = one["responses"]
    wanted = {"200", "400", "405", "422", "500", "503"}
    if path.startswith("/v1"):
        wanted |= {"401", "403"}
        assert one["security"]
    if "requestBody" in one:
        wanted |= {"408", "413", "415"}
    assert set(responses) >= wanted
    for status, response in responses.items():
        assert {name.decode() for name, _ in SECURITY} <= {name.lower() for name in response["headers"]}
        if int(status) >= 400:
            content = response["content"]["application/json"]
            assert schema_of(content["schema"]).is_valid(content["example"])
    assert "Allow" in responses["405"]["headers"]


def test_every_field_that_is_sent_is_explained_and_bounded():
    def bounded(schema):
        if "anyOf" in schema:
            return all(bounded(one) for one in schema["anyOf"])
        kind = schema.get("type")
        if kind == "string":
            return "maxLength" in schema or schema.get("format") == "date-time" or "enum" in schema
        if kind in ("integer", "number"):
            return "minimum" in schema and "maximum" in schema
        if kind == "array":
            return "maxItems" in schema and bounded(schema["items"])
        if kind == "object":
            return "maxProperties" in schema
        return True

    for one in OPERATIONS:
        if one.body is not None:
            shape = DESCRIBED["components"]["schemas"][one.body.__name__]
            assert shape["additionalProperties"] is False
            for name, schema in shape["properties"].items():
                assert schema.get("description"), (one.body, name)
                assert bounded(schema), (one.body, name)


def test_examples_are_what_they_are_examples_of():
    tried = 0
    for _, _, one in ALL:
        for content in one.get("requestBody", {}).get("content", {}).values():
            assert schema_of(content["schema"]).is_valid(content["example"])
            tried += 1
    assert tried > 8


def test_the_examples_are_answered(tmp_path):
    with world(tmp_path) as net:
        net.ask("PUT", "/v1/users/u-1", json={})
        for one in OPERATIONS:
            path = one.path.format(**one.given)
            status = net.ask(one.method, path, **({"json": one.example} if one.example else {})).status_code
            assert status == 200 or status in one.noes, (one.method, path, status)


def test_the_limit_of_events_is_the_servers(tmp_path):
    shape = description(Limits(events=7))["components"]["schemas"]["EventsSent"]
    assert shape["properties"]["events"]["maxItems"] == 7
    with world(tmp_path, limits=Limits(events=7)) as net:
        told = net.ask("GET", "/openapi.json").json()
    assert told["components"]["schemas"]["EventsSent"] == shape
    assert set(told["paths"]) == set(DESCRIBED["paths"])


def test_it_is_printed_for_the_docs():
    run = subprocess.run(
        [sys.executable, "-m", "matinee.serve.native"], check=True, capture_output=True, text=True
    )
    assert json.loads(run.stdout) == json.loads(json.dumps(DESCRIBED))
