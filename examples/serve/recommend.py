"""Tell what a viewer did, ask what comes next, show it. Needs nothing but Python.

matinee serve bundle &
python examples/serve/recommend.py VIEWER ITEM
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("MATINEE_URL", "http://127.0.0.1:8000")


def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if "MATINEE_KEY" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['MATINEE_KEY']}"
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


def main(viewer: str = "u-1", item: str = "i-1") -> None:
    # The event is on disk when this answers; with its event_id it may be sent again without harm.
    event = {"user": viewer, "item": item, "kind": "view", "event_id": str(uuid.uuid4())}
    print("kept:", call("POST", "/v1/events", {"events": [event]})["new"])

    # It counts in the very next answer.
    ask = {"user": viewer, "k": 5, "reasons": True, "placement": "home"}
    answer = call("POST", "/v1/recommend", ask)
    print("from:", answer["source"])
    for place, one in enumerate(answer["items"], 1):
        print(f"{place}. {one['title'] or one['item']} - {'; '.join(one['reasons'])}")

    # Say which answer a choice followed from, and matinee can say what its recommendations brought.
    chosen = {"user": viewer, "item": answer["items"][0]["item"], "kind": "view", "position": 1}
    shown = {"user": viewer, "items": [one["item"] for one in answer["items"]]}
    named = {"recommendation_id": answer["recommendation_id"]}
    told = call("POST", "/v1/events", {"events": [{**chosen, **named}], "impressions": [{**shown, **named}]})
    print("kept:", told["new"])


if __name__ == "__main__":
    main(*sys.argv[1:3])
