"""The whole trial: install, talk, then one accident after the other under load, each checked to the last message."""

from __future__ import annotations

import asyncio
import functools
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from naisho.protocol import network_file
from naisho.protocol.network_file import NetworkFile
from operators.load.mix import Mix
from operators.load.plan import Plan
from operators.load.running import Load, LoadRun
from operators.load.sizes import Sizes
from tests.cluster import exposing, renewing, shared_log, steps
from tests.cluster.kubectl import Installed
from tests.cluster.owners import moves
from tests.cluster.steps import Step
from tests.cluster.table import Outcome, write
from tests.cluster.talking import talk

RATE = 15.0
MIX = "store=6,retrieve=3,delete=1"
_PATIENCE_S = 120.0
_TWO_NETWORKS: Final = "two networks on one NATS that neither brought"


class Trial:
    """One run of it.

    Args:
        network: what is installed.
        image: what it runs first.
        other_image: what it is upgraded to.
        out: folder of the results.
    """

    def __init__(self, network: Installed, image: str, other_image: str, out: Path) -> None:
        self._network = network
        self._image = image
        self._other = other_image
        self._out = out
        self.outcomes: list[Outcome] = []

    async def run(self, wanted: str = "") -> bool:
        """Do everything (or the steps whose names contain a text); return whether all went well."""
        network = self._network
        await self._timed("install, and wait", lambda: network.install(self._image))
        await self._timed("helm test", lambda: network.helm("test", network.release, "--timeout", "5m"))
        file = await self._network_file()
        await self._timed("a message by the SDK and by session-python", lambda: talk(file))
        load = Load(Plan.steady(RATE), mix=Mix.parse(MIX), sizes=Sizes.parse("256-4096"), accounts=200, seconds=20)
        async with LoadRun.open(file, load) as run:
            run.start()
            await asyncio.sleep(10)
            for step in self._steps():
                if wanted in step.name:
                    await self._step(step, run)
            await run.stop()
        facts = await self._facts()
        if not wanted:
            await self._timed("uninstall, and erase everything", lambda: steps.destroy(network), whole=False)
        if wanted in _TWO_NETWORKS:
            two = functools.partial(shared_log.two_networks, network.chart, self._image)
            await self._timed(_TWO_NETWORKS, two, whole=False)
        write(self.outcomes, facts, self._out)
        return all(outcome.good for outcome in self.outcomes)

    def _steps(self) -> tuple[Step, ...]:
        return (
            steps.scale(21),
            steps.scale(15),
            Step("drain a node in the middle of the list", steps.drain_in_the_middle),
            Step("delete a pod", steps.delete_a_pod),
            Step("delete a pod with its volume", steps.delete_a_pod_with_its_volume),
            Step("evict two of a swarm: one at a time", steps.evict_members),
            Step("a HorizontalPodAutoscaler, 15 to 17 and back", steps.scale_by_an_autoscaler),
            Step(
                "the operator's own policy, 15 to 17 and back; who talks to whom is as the table says",
                steps.scale_by_the_operator,
            ),
            Step("restart NATS, one server after the other", steps.restart_nats),
            renewing.certificates(),
            Step("the operator is away for two minutes of a drain", steps.kill_the_operator_in_a_drain),
            steps.upgrade(self._other),
            exposing.node_ports(self._other),
            exposing.host_ports(self._other),
            exposing.load_balancers(self._other),
            steps.install_again(self._other),
        )

    async def _step(self, step: Step, run: LoadRun) -> None:
        """Do it, wait until all is whole again, and read everything back."""
        before = run.surroundings.directory
        requests, failed = _count(run), run.tally.errors.copy()
        began = time.monotonic()
        _say(f"{step.name} ...")
        await step.do(self._network)
        await self._network.until("everything is whole", self._network.whole)
        seconds = time.monotonic() - began
        await self._current(run)
        found = await run.verify(patience_s=_PATIENCE_S)
        changed = moves(before, run.surroundings.directory)
        outcome = Outcome(
            step.name,
            seconds,
            lost=found.lost,
            undone=found.undone,
            unread=found.unread_messages,
            messages=found.messages,
            copies=found.copies,
            epochs=changed.epochs,
            changed=changed.changed,
            allowed=changed.allowed,
            requests=_count(run) - requests,
            failed=dict(run.tally.errors - failed),
        )
        self.outcomes.append(outcome)
        _say(f"  {'well' if outcome.good else 'NOT WELL'}: {outcome}")
        for named in (*found.lost_named, *found.undone_named):
            _say(f"  {named}")

    async def _current(self, run: LoadRun) -> None:
        """Let the load know the newest directory."""
        epoch = int((await self._network.pool())["status"]["epoch"])

        async def known() -> bool:
            return run.surroundings.directory.epoch >= epoch or (
                await run.surroundings.refresh(unless_younger_s=0) and run.surroundings.directory.epoch >= epoch
            )

        await self._network.until(f"the load knows epoch {epoch}", known, patience_s=_PATIENCE_S)

    async def _timed(self, name: str, do: Callable[[], Awaitable[Any]], *, whole: bool = True) -> None:
        _say(f"{name} ...")
        began = time.monotonic()
        await do()
        if whole:
            await self._network.until("everything is whole", self._network.whole)
        self.outcomes.append(Outcome(name, time.monotonic() - began))
        _say(f"  {self.outcomes[-1].seconds:.0f} s")

    async def _network_file(self) -> NetworkFile:
        found = await self._network.get("configmap", f"{self._network.release}-network")
        return network_file.parse(found["data"]["network.json"])

    async def _facts(self) -> dict[str, Any]:
        path = "jsonpath={.items[0].status.nodeInfo.kubeletVersion}"
        server = await self._network.kubectl("get", "nodes", "--output", path)
        return {
            "version": f"Kubernetes {server}",
            "machine": f"one machine of {os.cpu_count()} cores, {platform.machine()}",
            "when": datetime.now(UTC).date().isoformat(),
            "load": f"{RATE:.0f} requests a second through onion paths ({MIX}; 256 to 4,096 bytes; 200 accounts)",
            "notes": "",
        }


def _count(run: LoadRun) -> int:
    return sum(run.tally.total(outcome) for outcome in ("acknowledged", "failed", "unknown", "shed"))


def _say(text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stdout.flush()
