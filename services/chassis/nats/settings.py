"""How to reach a NATS server, and the bounds of a connection."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings:
    """One user's way to its NATS servers.

    Attributes:
        servers: ``nats://host:port``, tried in turn.
        name: shown in the server's list of connections; no secret.
        nkey_seed: 32 bytes of the user's Ed25519 key, or ``None`` for a server without users.
        inbox_prefix: where answers arrive; what the user may subscribe to, without a trailing dot.
        tls: upgrade the connection with this context; ``None`` for loopback.
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
    nkey_seed: bytes | None = field(default=None, repr=False)
    inbox_prefix: str = "_INBOX"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
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
