"""Thousands of requests that follow the native face's description, or break it: none is answered with 5xx.

    python benchmarks/serve_fuzz.py --cases 10000

A bundle of a simulated log, `matinee serve` as people start it, with keys; schemathesis with all of its
checks reads `/openapi.json` and asks. The server's CPU is counted too. Results go to results/serve_fuzz.json.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matinee.recommenders.transitions import Transitions
from matinee.simulate.small import predictable
from stamp import one_thread, stamp, write_result

# A well-formed request may still be refused for what it means: the clock, a name that nobody knows.
_SETTINGS = """
hooks = "{hooks}"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 422]
[headers]
Authorization = "Bearer {key}"
"""
# A server refuses a header above 32 KiB before anything that is tested here sees it.
_HOOKS = """
import schemathesis


@schemathesis.hook
def filter_case(context, case):
    url = case.as_transport_kwargs(base_url="http://localhost")
    path, query = url["url"], url.get("params") or {}
    return len(path) + sum(len(str(name)) + 12 * len(str(value)) for name, value in query.items()) < 24_000
"""

# Cases that a run draws for each operation: several runs of other seeds find more than one long one.
_EACH = 25


def fuzz(
    address: str,
    key: str,
    per_operation: int,
    *,
    seed: int = 0,
    phases: str = "examples,coverage,fuzzing,stateful",
) -> dict[str, Any]:
    """What schemathesis finds at a server: cases, failures and its own words.

    Args:
        address: of the server.
        key: one that is good for everything.
        per_operation: cases that it draws for each operation, beside those that it reasons out.
        seed: of what it draws.
        phases: what it does.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hooks.py").write_text(_HOOKS, encoding="utf-8")
        settings = folder / "schemathesis.toml"
        settings.write_text(_SETTINGS.format(hooks=folder / "hooks.py", key=key), encoding="utf-8")
        report = folder / "report.json"
        run = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("st")), "--config-file", str(settings)),
                *("run", f"{address}/openapi.json", "--checks", "all", "--seed", str(seed)),
                *(
                    "--phases",
                    phases,
                    "--max-examples",
                    str(per_operation),
                    "--generation-database",
                    "none",
                    "--no-color",
                ),
                *("--report", "json", "--report-json-path", str(report)),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    words = run.stdout + run.stderr
    found = re.search(r"([\d,]+) generated", words)
    return {
        "cases": int(found[1].replace(",", "")) if found else 0,
        "passed": run.returncode == 0,
        "words": words,
    }


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str, int]]:
    """The command's own server over a small bundle: its address, a key, its process."""
    Transitions().fit(predictable()).save(folder / "bundle")
    store = f"sqlite:///{folder / 'store.db'}"
    command = [sys.executable, "-m", "matinee"]
    keys = [*command, "keys", "add", "fuzz", "--store", store, "--scope", "admin", "--json", "-"]
    made = subprocess.run(keys, check=True, capture_output=True, text=True).stdout
    key = json.loads(made)["key"]
    serve = [*command, "serve", str(folder / "bundle"), "--port", "0", "--store", store, "--log", "off"]
    with subprocess.Popen(
        [*serve, "--log-file", str(folder / "log")], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            address = next(
                found[0] for line in server.stdout if (found := re.search(r"http://[\d.]+:\d+", line))
            )
            yield address, key, server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def cpu_of_children() -> float:
    """CPU-seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(cases: int, seed: int) -> Mapping[str, Any]:
    """One run until so many cases were tried."""
    with TemporaryDirectory() as name, served(Path(name)) as (address, key, _):
        tried, runs = 0, list[dict[str, Any]]()
        while tried < cases:
            one = fuzz(address, key, per_operation=_EACH, seed=seed + len(runs))
            tried += one["cases"]
            runs.append(one)
            if not one["passed"] or not one["cases"]:
                break
    return {
        "cases": tried,
        "bar": cases,
        "passed": all(one["passed"] for one in runs) and tried >= cases,
        "words": "" if all(one["passed"] for one in runs) else runs[-1]["words"][-20_000:],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    one_thread()
    before = cpu_of_children()
    result = measured(given.cases, given.seed)
    spent = round(cpu_of_children() - before, 1)
    print(
        result["words"] or f"{result['cases']:,} cases, {spent} CPU-seconds: no 5xx, no violation accepted."
    )
    if not result["passed"]:
        sys.exit(1)
    write_result(
        "serve_fuzz",
        {
            "cases": result["cases"],
            "bar": given.cases,
            "failures": 0,
            "cpu_s": spent,
            "seed": given.seed,
            **stamp(),
        },
    )


if __name__ == "__main__":
    main()
