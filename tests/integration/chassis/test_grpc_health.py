"""The standard health and reflection services follow the lifecycles."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.grpc_health import Health
from services.chassis.hosting import running
from services.chassis.lifecycle import Lifecycle, State

NAME = "naisho.wire.node.v1.MailboxService"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class Mailboxes:
    """A service whose only business is its health."""

    def __init__(self, socket: Path) -> None:
        self.lifecycle = Lifecycle("swarm")
        self.server = unix_server(socket)
        self.health = Health(self.server, [(NAME, self.lifecycle)])
        self.may_drain = asyncio.Event()

    async def start(self) -> None:
        await self.health.report()
        await self.server.start()
        self.lifecycle.spawn(self.health.follow(), "health")

    async def drain(self) -> None:
        await self.may_drain.wait()

    async def stop(self) -> None:
        await self.server.stop(None)


async def test_health_follows_readiness_and_draining(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    service = Mailboxes(socket)
    async with unix_channel(socket) as channel:
        stub: Any = HealthStub(channel)  # the stubs know no asynchronous form

        async def now(name: str = NAME) -> int:
            response: HealthCheckResponse = await stub.Check(HealthCheckRequest(service=name), timeout=10)
            return response.status

        host = running([service])
        await host.__aenter__()
        watch = stub.Watch(HealthCheckRequest(service=NAME))
        seen = [(await watch.read()).status]
        if seen[-1] == NOT_SERVING:
            seen.append((await watch.read()).status)
        assert seen[-1] == SERVING
        assert await now() == await now("") == SERVING
        service.lifecycle.withdraw("catching up")
        assert (await watch.read()).status == NOT_SERVING
        assert await now("") == NOT_SERVING
        service.lifecycle.restore("catching up")
        assert (await watch.read()).status == SERVING
        ending = asyncio.create_task(host.__aexit__(None, None, None))
        assert (await watch.read()).status == NOT_SERVING
        assert service.lifecycle.state is State.DRAINING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await now("nobody")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch.cancel()
        service.may_drain.set()
        await ending


async def test_reflection_names_the_services(tmp_path: Path) -> None:
    service = Mailboxes(tmp_path / "s")
    service.may_drain.set()
    async with running([service]), unix_channel(tmp_path / "s") as channel:
        stub: Any = ServerReflectionStub(channel)  # type: ignore[arg-type]  # as above
        stream = stub.ServerReflectionInfo()
        await stream.write(ServerReflectionRequest(list_services=""))
        response = await stream.read()
        names = {each.name for each in response.list_services_response.service}
        assert names == {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        stream.cancel()
