"""A subscriber that answers with what it was asked."""

from __future__ import annotations

from collections.abc import Callable

from services.chassis.nats.connection import NatsConnection


def echo(connection: NatsConnection) -> Callable[..., None]:
    def answer(_subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        assert reply is not None
        connection.publish(reply.decode(), payload, headers=headers)

    return answer
