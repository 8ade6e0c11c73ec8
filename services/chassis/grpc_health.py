"""The standard gRPC health and reflection services, driven by lifecycles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from services.chassis.lifecycle import Lifecycle

_SERVING: Final = HealthCheckResponse.SERVING
_NOT_SERVING: Final = HealthCheckResponse.NOT_SERVING


class Health:
    """Health of one server: the whole (the empty name) serves when every lifecycle is ready.

    Only for servers that strangers cannot reach: reflection names every method.

    Args:
        server: not started yet.
        services: full names of its gRPC services, each with the lifecycle that it belongs to.
    """

    def __init__(self, server: grpc.aio.Server, services: Sequence[tuple[str, Lifecycle]]) -> None:
        self._services = services
        self._servicer = health.aio.HealthServicer()
        self._changed = asyncio.Event()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        names = (*(name for name, _ in services), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)

    async def follow(self) -> None:
        """Tell changes of the lifecycles on; for ever. Await `report` once before the server starts."""
        ends = [lifecycle.observe(self._changed.set) for lifecycle in {life for _, life in self._services}]
        try:
            while True:
                self._changed.clear()
                await self.report()
                await self._changed.wait()
        finally:
            for end in ends:
                end()

    async def report(self) -> None:
        """Tell how things stand now."""
        for name, lifecycle in self._services:
            await self._servicer.set(name, _SERVING if lifecycle.ready else _NOT_SERVING)
        all_ready = all(lifecycle.ready for _, lifecycle in self._services)
        await self._servicer.set(health.OVERALL_HEALTH, _SERVING if all_ready else _NOT_SERVING)
