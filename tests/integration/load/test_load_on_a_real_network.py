"""Real networks of processes: a node killed in the middle, and the command from its options to its report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.load.command import load
from operators.load.errors import GeneratorFailed, NotJoined
from operators.load.fleet import Fleet
from operators.load.jobs import Job, divide
from operators.load.mix import Mix, Operation
from operators.load.outcomes import Outcome
from operators.load.plan import Plan
from operators.load.running import Load, LoadRun
from tests.integration.load.played import until
from tests.networks import RunningNetwork

pytestmark = pytest.mark.slow

NODES = 5
EVERYTHING = "store=6,retrieve=2,delete=2,extend=1"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    options = ("--nodes", str(NODES), "--separate-roles")
    with RunningNetwork(tmp_path_factory.mktemp("load") / "network", *options) as running:
        yield running


def call(network: RunningNetwork, *options: str, as_json: bool = True) -> tuple[int, str]:
    """Call the command as its users do; return exit code and output."""
    context = CliContext(Texts.load("en"), {}, network=network.network_file, json=as_json)
    done = CliRunner().invoke(load(context.texts), options, obj=context)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def kill(network: RunningNetwork, name: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(network.pids[name], signal.SIGKILL)


async def test_nothing_acknowledged_is_lost_when_a_node_is_killed_in_the_middle(network: RunningNetwork) -> None:
    wanted = Load(
        Plan.steady(40), mix=Mix.parse(EVERYTHING), accounts=50, onion=False, seconds=5.0, refresh_s=1.0, ttl_s=600
    )
    async with LoadRun.open(network.network, wanted) as run:
        run.start()
        await until(lambda: run.ledger.acknowledged > 40 and run.ledger.deleted > 3)
        for role in ("onion", "swarm"):
            kill(network, f"{role}-02")
        before = run.ledger.acknowledged
        meanwhile = await run.verify(patience_s=0)
        await until(lambda: run.ledger.acknowledged > before + 100)
        await run.stop()
        findings = await run.verify(patience_s=20)
        tally = run.tally
    assert meanwhile.undone == 0
    assert findings.clean, findings.document()
    assert findings.unread_members == 0, "who was killed is back and is read, too"
    assert findings.messages > 70
    assert findings.copies == findings.messages * NODES
    assert findings.deletions == run.ledger.deleted > 3
    assert tally.operations[Operation.EXTEND].outcomes[Outcome.ACKNOWLEDGED] > 0
    assert tally.total("offered") == sum(tally.total(outcome) for outcome in Outcome)


def test_the_command_loads_by_onion_in_two_processes_and_reports(network: RunningNetwork, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    page = next(process["metrics"] for process in network.status["processes"] if process["metrics"])
    options = ["--ramp", "10:30:3s", "--for", "2s", "--mix", EVERYTHING, "--size", "200-2000", "--accounts", "30"]
    options += [
        "--processes",
        "2",
        "--paths",
        "4",
        "--metrics",
        page,
        "--report",
        str(report),
        "--max-error-rate",
        "0.5",
    ]
    code, printed = call(network, *options)
    twin = json.loads(printed)
    assert code == 0, twin["verdict"]
    assert json.loads(report.with_suffix(".json").read_text()) == twin
    assert json.dumps(twin, separators=(",", ":")) in report.read_text()
    assert twin["network"]["nodes"] == NODES
    assert twin["totals"]["offered"] == pytest.approx(120, abs=45)
    assert twin["totals"]["acknowledged"] > 50
    assert twin["check"]["lost"] == twin["check"]["undone_deletions"] == 0
    assert twin["check"]["messages"] > 20
    assert len(twin["series"]["at_s"]) >= 5
    used = twin["resources"]
    assert {"load", "network", "nats", "onion-00", page.removeprefix("http://").removesuffix("/metrics")} <= set(used)
    assert all(any(curve["memory_mb"]) for curve in used.values())
    assert any(used["load"]["cpu_percent"])


def test_the_command_says_what_it_came_to_and_fails_on_a_bound(network: RunningNetwork) -> None:
    options = ["--rate", "20", "--for", "1s", "--way", "straight", "--spacing", "constant", "--max-p99", "1ms"]
    code, printed = call(network, *options, as_json=False)
    assert code == 1
    said = " ".join(printed.split())
    assert "20 due, 20 acknowledged" in said
    assert "longer than may be" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--mix", "send=1"],
        ["--size", "0"],
        ["--ramp", "1:2"],
        ["--for", "5"],
        ["--ramp", "0:0:5s"],
        ["--rate", "0"],
        ["--ttl", "9s"],
        ["--ttl", "15d"],
    ],
)
def test_options_that_say_nothing_are_a_wrong_call(network: RunningNetwork, options: Sequence[str]) -> None:
    assert call(network, *options)[0] == 2


@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, "status -9"), (signal.SIGSTOP, "said nothing")])
async def test_a_generating_process_that_dies_or_hangs_fails_the_run_and_leaves_nobody_behind(
    network: RunningNetwork, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, said: str
) -> None:
    wanted = Load(Plan.steady(5, 60), accounts=4, onion=False)
    jobs = [Job(str(network.network_file), part) for part in divide(wanted, 2)]
    monkeypatch.setattr("operators.load.fleet.SILENCE_SECONDS", 5.0)
    pids: list[int] = []

    async def run() -> None:
        async with Fleet.launch(jobs) as fleet:
            await fleet.ready()
            pids.extend(fleet.pids)
            ticked = asyncio.Event()
            running = asyncio.create_task(fleet.run(ticked.set))
            await ticked.wait()
            os.kill(pids[0], number)
            await running

    with pytest.raises(GeneratorFailed, match=said):
        await run()
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_a_network_file_that_says_nothing_is_told_by_who_reads_it(tmp_path: Path) -> None:
    async with Fleet.launch([Job(str(tmp_path / "no.json"), Load(Plan.steady(5, 60)))]) as fleet:
        with pytest.raises(NotJoined, match=r"no\.json"):
            await fleet.ready()


STARTED = """
import sys
from pathlib import Path
from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.load.command import load
context = CliContext(Texts.load("en"), {}, network=Path(sys.argv[1]), json=True)
load(context.texts).main(sys.argv[2:], obj=context)
"""


def test_ctrl_c_ends_the_plan_and_the_check_still_happens(network: RunningNetwork) -> None:
    options = ["--rate", "30", "--for", "1h", "--way", "straight", "--accounts", "20"]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, str(network.network_file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "acknowledged" in process.stderr.readline()  # the first line of progress
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    twin: dict[str, Any] = json.loads(printed)
    assert process.returncode == 0, twin["verdict"]
    assert not twin["complete"]
    assert twin["check"]["messages"] > 3
    assert twin["seconds"] < 60


async def test_a_network_that_stops_is_a_run_with_errors_and_nothing_can_be_said_of_it(tmp_path: Path) -> None:
    with RunningNetwork(tmp_path / "network", "--nodes", "3") as running:
        wanted = Load(Plan.steady(20), accounts=5, onion=False, seconds=1.0, ttl_s=600)
        async with LoadRun.open(running.network, wanted) as run:
            run.start()
            await until(lambda: run.ledger.acknowledged > 5)
            await asyncio.to_thread(running.kill)
            began = time.monotonic()
            await until(lambda: run.tally.errors.total() > 5)
            await run.stop()
            findings = await run.verify(patience_s=0.5)
    assert findings.unread_messages > 0
    assert findings.lost == 0
    assert not findings.clean
    assert time.monotonic() - began < 30
