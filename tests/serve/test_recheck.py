"""What is found out about an index in service is told by /metrics and on the health screen."""

import asyncio
import re
from dataclasses import replace

import httpx
from tests.serve.large_world import bundle

from matinee.serve.app import make_app
from matinee.serve.metrics import Metrics, counted
from matinee.serve.service import Limits
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service


async def asked(folder):
    """What /metrics and the health screen say after an answer of a large catalogue."""
    store = open_sqlite(folder / "store.db")
    try:
        service = await start_service([bundle("large")], store, Limits(), histories=False)
        metrics = Metrics()
        answers, counting = counted(service, metrics)
        app = make_app(replace(service, answers=answers, store=counting), metrics=metrics.text)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            before = await client.get("/health")
            history = [{"item": f"i{code}"} for code in (5, 77, 901)]
            for _ in range(3):
                told = await client.post("/v1/recommend", json={"history": history})
                assert told.status_code == 200, told.text
            for _ in range(3_000):
                if service.answers.rechecks.figures.answers:
                    break
                await asyncio.sleep(0.01)
            await metrics.look(service, 1)
            return before.text, (await client.get("/metrics")).text, (await client.get("/health")).text
    finally:
        await store.close()


def test_metrics_and_the_health_screen_say_what_an_index_finds(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    before, figures, page = asyncio.run(asked(tmp_path))
    values = dict(re.findall(r"^(matinee_rechecked_\w+) ([\d.]+)$", figures, re.MULTILINE))
    # Of three answers the first is checked, as one in a thousand is from then on.
    assert float(values["matinee_rechecked_answers_total"]) == 1.0
    assert 0.9 <= float(values["matinee_rechecked_recall_10_total"]) <= 1.0
    assert 0.9 <= float(values["matinee_rechecked_recall_100_total"]) <= 1.0
    assert "recall@100" not in before
    assert "recall@100" in page
