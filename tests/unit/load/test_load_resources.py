"""CPU and memory: what pages say of their processes, and what becomes of it over time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from operators.load.resources import Curve, Sampler, Usage, local_processes, of_process, read_prometheus, read_varz

PAGE = """# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total{} 12.5
process_resident_memory_bytes{} 6.1e+07
other_process_cpu_seconds_total 99
"""


@pytest.mark.parametrize("labels", ["", '{node="0",service="swarm"}'])
def test_a_page_of_metrics_is_read(labels: str) -> None:
    assert read_prometheus(PAGE.replace("{}", labels)) == Usage(6.1e7, cpu_s=12.5)


@pytest.mark.parametrize(
    "text",
    ["", "process_cpu_seconds_total 1", "process_cpu_seconds_total e\nprocess_resident_memory_bytes -", "<html>"],
)
def test_what_says_nothing_is_nothing(text: str) -> None:
    assert read_prometheus(text) is None
    assert read_varz(text) is None


def test_a_nats_server_tells_percent() -> None:
    assert read_varz('{"cpu": 3.5, "mem": 1000}') == Usage(1000.0, cpu_percent=3.5)
    for text in ("[]", "3", '{"cpu": null, "mem": 1}'):
        assert read_varz(text) is None


def test_percent_of_a_core_is_what_was_used_since_the_last_look() -> None:
    curve = Curve()
    for at, cpu in ((0, 10.0), (2, 11.0), (4, 14.0)):
        curve.add(at, Usage(5e6, cpu_s=cpu))
    curve.add(6, None)
    curve.add(8, Usage(5e6, cpu_s=1.0))  # another process of the same name
    curve.add(10, Usage(5e6, cpu_s=1.5))
    assert curve.cpu_percent == [None, 50.0, 150.0, None, None, 25.0]
    assert curve.memory_mb == [5.0, 5.0, 5.0, None, 5.0, 5.0]


def test_a_network_that_runs_here_is_found_beside_its_file(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    assert local_processes(file) == {}
    (tmp_path / "running.json").write_text("[]")
    assert local_processes(file) == {}
    (tmp_path / "running.json").write_text(json.dumps({"pid": 5, "processes": {"nats": 6, "nodes-0": 7}}))
    assert local_processes(file) == {"network": 5, "nats": 6, "nodes-0": 7}


async def test_all_processes_are_looked_at_together(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text(json.dumps({"pid": os.getpid(), "processes": {"nats": 2**22 + 1}}))
    pages = {"/metrics": PAGE.replace("{}", ""), "/varz": '{"cpu": 3.5, "mem": 2000000}', "/broken/metrics": "no"}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=pages[request.url.path]) if request.url.path in pages else httpx.Response(404)

    urls = ["http://a:1/metrics", "http://b:2/varz", "http://c:3/broken/metrics", "http://d:4/metrics/gone"]
    sampler = Sampler(lambda: [os.getpid()], tmp_path / "network.json", urls, 1.0)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        await sampler.look(http, 0.0)
        await sampler.look(http, 1.0)
    found = sampler.document()
    assert next(iter(found)) == "load"
    assert found["load"]["memory_mb"][0] > 1
    assert found["network"]["memory_mb"][0] > 1
    assert found["nats"]["memory_mb"] == [None, None]
    assert found["a:1"]["cpu_percent"] == [None, 0.0]
    assert found["b:2/varz"]["cpu_percent"] == [3.5, 3.5]
    assert found["b:2/varz"]["memory_mb"] == [2.0, 2.0]
    assert found["c:3/broken"]["memory_mb"] == found["d:4/metrics/gone"]["memory_mb"] == [None, None]


def test_a_process_that_is_gone_used_nothing() -> None:
    assert of_process(2**22 + 1) is None
    used = of_process(os.getpid())
    assert used is not None
    assert used.cpu_s
