"""A real server with titles as people write them, and as nobody should."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from matinee.serve.records import ItemRecord
from matinee.testing.one_server import OneServer, one_server, write_small_bundle

HOSTILE = {
    "script": '<script>alert("it ran")</script>',
    "quotes": "\"' onmouseover='alert(1)' x=\"&lt;b&gt;",
    "turned": "\u202egnp.tupni \u2066hidden\u2069 \u200b\ufeff",
    "long": "endless" * 1_500,
    "lines": "one\ntwo\ttabs\x1b[31m and \x07 bells",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7}",
    "blank": "\u200b \u2060",
    'id"><img src=x onerror=alert(1)>': "a title of an id that is markup",
}
IMAGES = {
    "script": "javascript:alert(1)",
    "quotes": "https://elsewhere.example/poster.png",
    "turned": "//elsewhere.example/poster.png",
    "long": "data:text/html,<script>alert(1)</script>",
    "lines": "/posters/lines.png",
    "template": "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
}


@dataclass(frozen=True)
class Site:
    """A server and somebody who browses it: forms come from its own pages."""

    server: OneServer
    client: httpx.Client

    def get(self, path: str, **query) -> httpx.Response:
        return self.client.get(path, params=query or None)

    def post(self, path: str, fields: dict) -> httpx.Response:
        return self.client.post(path, data=fields, headers={"origin": self.server.url})

    def events_of(self, user: str) -> list:
        return self.server.do(self.server.service.store.history(user, 1_000))


def site_of(server: OneServer) -> Site:
    return Site(server, httpx.Client(base_url=server.url, follow_redirects=False, timeout=20))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("page") / "bundle")


@pytest.fixture(scope="module")
def site(bundle, tmp_path_factory):
    with one_server([bundle], tmp_path_factory.mktemp("store") / "store.db") as server:
        records = [
            ItemRecord(id=item, title=title, image=IMAGES.get(item), added_ms=server.service.now_ms())
            for item, title in HOSTILE.items()
        ]
        server.do(server.service.store.put_items(records))
        made = site_of(server)
        yield made
        made.client.close()
