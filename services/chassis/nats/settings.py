"""How to reach a NATS server, and the bounds of a connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from services.chassis.nats.credentials import CredentialSource


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings:
    """One user's way to its NATS servers.

    Attributes:
        servers: ``nats://host:port``, tried in turn.
        name: shown in the server's list of connections; no secret.
        credentials: who the user is; asked at every connect, so that renewed files are found. ``None`` for a server
            without users.
        inbox_prefix: where answers arrive; what the user may subscribe to, without a trailing dot.
        tls: makes the context to upgrade a connection with; asked at every connect, too. ``None`` for loopback.
        tls_hostname: name in the server's certificate if it is not the host in ``servers``.
        echo: what this connection publishes reaches its own subscriptions as well.
        connect_timeout_s: bound of one attempt on one server, all steps together.
        request_timeout_s: default bound of one request.
        ping_interval_s: an idle connection is checked this often.
        pings_unanswered: so many checks in a row without any byte from the server end the connection.
        reconnect_first_s: pause before the second attempt; doubles with every further one, each time shortened by a
            random part of up to a half.
        reconnect_most_s: longest pause.
        write_buffer_bytes: most bytes waiting to be read by the server; beyond it sending raises ``Congested``.
        max_message_bytes: largest message accepted from the server.
        close_timeout_s: bound of writing out what is left when closing.
    """

    servers: tuple[str, ...]
    name: str = "naisho"
    credentials: CredentialSource | None = field(default=None, repr=False)
    inbox_prefix: str = "_INBOX"
    tls: Callable[[], ssl.SSLContext] | None = field(default=None, repr=False)
    tls_hostname: str | None = None
    echo: bool = True
    connect_timeout_s: float = 2.0
    request_timeout_s: float = 5.0
    ping_interval_s: float = 5.0
    pings_unanswered: int = 2
    reconnect_first_s: float = 0.05
    reconnect_most_s: float = 2.0
    write_buffer_bytes: int = 8 * 1024 * 1024
    max_message_bytes: int = 16 * 1024 * 1024
    close_timeout_s: float = 2.0
