"""gRPC servers and channels over a unix socket inside a node.

Nothing here retries, resolves a proxy, or shares a connection between two channels: many nodes live in one process and
must stay strangers there. Between nodes ``services.chassis.http2`` carries the streams.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc.aio

from services.chassis.http2.frames import MAX_MESSAGE

#: The kernel's limit on a socket's path, without its closing zero.
_LONGEST_SOCKET_PATH: Final = 107

_SIZES: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 8 * 1024),
)
_CHANNEL: Final = (
    *_SIZES,
    ("grpc.enable_retries", 0),  # a call that may have been acted on is the caller's to repeat
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # also the bound on one attempt
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_SERVER: Final = (
    *_SIZES,
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a port shared with a stranger
    ("grpc.server_handshake_timeout_ms", 10_000),
)


def unix_server(socket: Path) -> grpc.aio.Server:
    """Make a server that will listen on `socket` once started. Who may open the socket's folder may call it.

    Raises:
        ValueError: the path is longer than a socket's may be.
    """
    server = grpc.aio.server(options=_SERVER)
    server.add_insecure_port(_unix_address(socket))
    return server


def unix_channel(socket: Path) -> grpc.aio.Channel:
    """Make a channel to the server that listens on `socket`; it connects with its first call.

    Raises:
        ValueError: the path is longer than a socket's may be.
    """
    return grpc.aio.insecure_channel(_unix_address(socket), options=_CHANNEL)


def _unix_address(socket: Path) -> str:
    if len(str(socket).encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a socket has at most {_LONGEST_SOCKET_PATH} bytes: {socket}")
    return f"unix:{socket}"
