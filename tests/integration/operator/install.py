"""One install: an emulated API server, a real log, played nodes, and operators that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import yaml

from operators.membership.kube.service import OperatorService, bootstrap
from operators.membership.kube.settings import (
    LeaseSettings,
    LogSettings,
    LogSizes,
    MembershipRules,
    OperatorSettings,
)
from operators.membership.streams import MIB
from services.chassis.hosting import running
from services.chassis.settings import Address, Duration, Size
from tests.integration.operator.api_store import ApiStore, Manifest
from tests.integration.operator.emulated_api import ApiServer, EmulatedApi
from tests.integration.operator.log_server import LogServer
from tests.integration.operator.machinery import Machinery

INSTALL: Final = "talk"
NAMESPACE: Final = "quiet"
IMAGE: Final = "naisho:1"
#: Two swarms by the rules of these installs. So few may be drained only because the pool says that it is meant.
FEW_NODES: Final = 8
#: Longer than anything here takes on a busy machine, and shorter than a test may last.
WITHIN_S: Final = 50.0


class RunningOperator:
    """An operator in this process, started and stopped as its pod would be.

    Attributes:
        may_fail: what the test is about is that it fails.
        ended: set once it has ended, by whatever.
    """

    def __init__(self, service: OperatorService) -> None:
        self.service = service
        self.may_fail = False
        self.ended = asyncio.Event()
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._host())

    async def stop(self, *, killed: bool = False) -> None:
        """End it; one that is killed does not give its lease back."""
        if killed:
            self.service._leadership = None  # so that it gives nothing back
        self._end.set()
        await self._task

    def check(self) -> None:
        """Raise what the operator failed of, unless that was meant."""
        if (failure := self.service.lifecycle.failure) is not None and not self.may_fail:
            raise AssertionError("the operator has failed") from failure

    async def _host(self) -> None:
        end = self.service.lifecycle.observe(self._look)
        try:
            async with running([self.service]):
                await self._end.wait()
        except ExceptionGroup:
            assert self.service.lifecycle.failure is not None
        finally:
            end()
            self.ended.set()

    def _look(self) -> None:
        if self.service.lifecycle.failure is not None:
            self._end.set()


class Install:
    """Everything of one install; use as ``async with``.

    Args:
        folder: for files.
        alone: the API server is alone: nobody makes pods of StatefulSets, and there is no log.
    """

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self._alone = alone
        self.store = ApiStore(NAMESPACE)
        self.api = EmulatedApi(store=self.store)
        self.server = ApiServer(self.api)
        self.machinery = Machinery(self.store)
        self.log = LogServer(folder / "log", self.store, INSTALL)
        self.operators: list[RunningOperator] = []
        self._folder = folder
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.store.observers.append(lambda _change: self._changed.set())

    async def __aenter__(self) -> Self:
        await self.server.open()
        self.write_kubeconfig()
        if not self._alone:
            self._tasks = [asyncio.create_task(self.machinery.run()), asyncio.create_task(self._keep_log())]
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for operator in self.operators:
                await operator.stop()
            for task in self._tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            self.log.stop()
            await self.server.close()

    async def _keep_log(self) -> None:
        await self.until(self.log.has_its_secrets)
        await self.log.start_async()

    @property
    def kubeconfig(self) -> Path:
        return self._folder / "kubeconfig.yaml"

    def write_kubeconfig(self) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "u", "namespace": NAMESPACE}}],
            "clusters": [{"name": "here", "cluster": {"server": self.server.url}}],
            "users": [{"name": "u", "user": {}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def bring(self, replicas: int = FEW_NODES, **spec: Any) -> None:
        """Put what ``helm install`` brings: the ConfigMap of the node pool, also as the operator's file."""
        pool = {
            "apiVersion": "naisho.dev/v1alpha1",
            "kind": "NodePool",
            "metadata": {"name": INSTALL},
            "spec": {"replicas": replicas, "allowUnsafe": True, "family": "aoi", "country": "JP", **spec},
        }
        text = json.dumps(pool)
        self.pool_file.write_text(text)
        if self.store.find("configmaps", f"{INSTALL}-pool") is None:
            self.store.create("configmaps", {"metadata": {"name": f"{INSTALL}-pool"}, "data": {"nodepool.json": text}})

    def uninstall(self) -> None:
        """Take away what ``helm uninstall`` takes away."""
        self.store.delete("configmaps", f"{INSTALL}-pool")

    @property
    def pool_file(self) -> Path:
        return self._folder / "nodepool.json"

    def settings(self, **changes: Any) -> OperatorSettings:
        known: dict[str, Any] = {
            "install": INSTALL,
            "namespace": NAMESPACE,
            "pod": f"operator-{len(self.operators)}",
            "image": IMAGE,
            "nats": LogSettings((self.log.address,), replicas=1),
            "pool_file": self.pool_file,
            "telemetry": Address("127.0.0.1", 0),
            "look": Duration(2),
            "pace": Duration(0.1),
            "streams": LogSizes(Size(16 * MIB), Size(MIB), Size(16 * MIB)),
            "membership": MembershipRules(3, 4, missed=Duration(8), first_wait=Duration(30)),
            "lease": LeaseSettings(Duration(6), Duration(1.5)),
        }
        return OperatorSettings(**(known | changes))

    def start_operator(self, **changes: Any) -> RunningOperator:
        operator = RunningOperator(bootstrap(self.settings(**changes)))
        operator.service.lifecycle.observe(self._changed.set)
        self.operators.append(operator)
        return operator

    async def stop_operator(self, operator: RunningOperator, *, killed: bool = False) -> None:
        self.operators.remove(operator)
        await operator.stop(killed=killed)

    # What is there.

    @property
    def status(self) -> Manifest:
        """Of the node pool."""
        pool = self.store.find("nodepools", INSTALL)
        return {} if pool is None else pool["status"]

    def condition(self, kind: str) -> str:
        """Return the reason of one of the pool's conditions."""
        conditions = {entry["type"]: entry["reason"] for entry in self.status.get("conditions") or ()}
        return str(conditions.get(kind, ""))

    def node(self, name: str) -> Manifest:
        return self.store.get("servicenodes", name)

    def phases(self) -> Counter[str]:
        """Return how many nodes are in which phase."""
        return Counter(node["status"].get("phase", "") for node in self.store.list("servicenodes"))

    def whole(self, count: int) -> bool:
        """Tell whether so many nodes are there, all of them active, and nothing is under way."""
        names = self.store.names("servicenodes")
        return (
            len(names) == count
            and self.phases() == {"Active": count}
            and self.condition("Ready") == "AllActive"
            and self.condition("Progressing") == "Stable"
            and self.condition("MembershipAgreed") == "Agreed"
        )

    def register(self) -> dict[str, dict[str, Any]]:
        nodes: dict[str, dict[str, Any]] = json.loads(
            self.store.get("configmaps", f"{INSTALL}-register")["data"][INSTALL]
        )["nodes"]
        return nodes

    async def until(self, holds: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
        """Wait until something holds of the objects; it is looked at whenever one changes."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    for operator in self.operators:
                        operator.check()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"did not become so within {within_s:.0f} s: {self.summary()}") from None

    async def turns(self, operator: RunningOperator, count: int) -> None:
        """Wait until an operator has looked at everything so many times more."""
        outcomes = operator.service._pulse.outcomes
        wanted = outcomes.total() + count
        async with asyncio.timeout(WITHIN_S):
            while outcomes.total() < wanted:  # noqa: ASYNC110 - no event tells of a look that changed nothing
                await asyncio.sleep(0.05)

    async def settled(self, operator: RunningOperator) -> None:
        """Wait until an operator has looked twice in a row without a write."""
        outcomes = operator.service._pulse.outcomes
        async with asyncio.timeout(WITHIN_S):
            while True:
                changed = outcomes["changed"] + outcomes["failed"]
                await self.turns(operator, 2)
                if changed == outcomes["changed"] + outcomes["failed"]:
                    return

    def writes_of_work(self) -> list[tuple[str, str, str]]:
        """Return all calls that write, but for those that only renew the lease."""
        return [write for write in self.api.writes if write[1] != "leases"]

    def summary(self) -> str:
        """Return where everything stands, for people."""
        status = {name: value for name, value in self.status.items() if name not in {"conditions", "selector"}}
        conditions = [(c["type"], c["reason"], c["message"]) for c in self.status.get("conditions") or ()]
        return json.dumps({"phases": self.phases(), "status": status, "conditions": conditions}, indent=1)
