"""gRPC servers and channels: over a unix socket inside a node, over TLS with pinned certificates between nodes.

Nothing here retries, resolves a proxy, or shares a connection between two channels: many nodes live in one process and
must stay strangers there.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from services.chassis.certificates import Identity, common_name, to_pem

#: The largest message: a packet with one frame of 10 MiB and its framing.
MAX_MESSAGE: Final = 12 * 2**20
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
#: Between hosts a peer can vanish without a word; both sides notice within a minute.
_KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 40_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.http2.max_pings_without_data", 0),
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


class TrustedPeers:
    """The certificates that a server accepts from its clients, to be replaced while it runs.

    Args:
        certificates: DER, one per node of the directory.
    """

    def __init__(self, certificates: Iterable[bytes] = ()) -> None:
        self._certificates: frozenset[bytes] = frozenset()
        self._pem = b""
        self._version = 0
        self.replace(certificates)

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    @property
    def pem(self) -> bytes:
        """All of them, one after the other."""
        return self._pem

    def replace(self, certificates: Iterable[bytes]) -> None:
        """Accept these and no others from the next handshake on; see `holds` for streams that are open already.

        Raises:
            CertificateError: one of them is no certificate; nothing has changed.
        """
        new = frozenset(certificates)
        if new != self._certificates or not self._version:
            self._pem = b"".join(map(to_pem, sorted(new)))
            self._certificates = new
            self._version += 1

    def holds(self, certificate: bytes) -> bool:
        """Tell whether exactly this certificate (DER) is accepted."""
        return certificate in self._certificates

    def caller(self, context: grpc.aio.ServicerContext[Any, Any]) -> bytes | None:
        """Return the certificate (DER) of the client behind a call; None if it is not accepted (any more).

        TLS alone accepts a certificate that an accepted one has signed, and asks only at the handshake: a servicer asks
        here, and again (`holds`) while a stream lives.
        """
        pems = list(context.auth_context().get("x509_pem_cert", ()))
        if len(pems) != 1:
            return None
        certificate = ssl.PEM_cert_to_DER_cert(pems[0].decode("ascii"))
        return certificate if self.holds(certificate) else None


def pinned_server(address: str, identity: Identity, trusted: TrustedPeers) -> tuple[grpc.aio.Server, int]:
    """Make a TLS server that shows `identity` and accepts clients with a trusted certificate only.

    Args:
        address: host and port to listen on once started; port 0 takes any free one.
        identity: the node's own.
        trusted: whom to accept; read at each handshake.

    Returns:
        The server and its port.

    Raises:
        RuntimeError: the address is in use or not this machine's.
    """
    seen = -1

    def configuration() -> grpc.ServerCertificateConfiguration:
        nonlocal seen
        seen = trusted.version
        # An empty list would mean "ask for no certificate": trust none but our own instead.
        roots = trusted.pem or identity.certificate_pem
        return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate_pem)], roots)

    def if_changed() -> grpc.ServerCertificateConfiguration | None:
        return configuration() if trusted.version != seen else None

    credentials = grpc.dynamic_ssl_server_credentials(
        configuration(),
        if_changed,  # type: ignore[arg-type]  # the stubs do not know that None means "unchanged"
        require_client_authentication=True,
    )
    server = grpc.aio.server(options=_SERVER + _KEEPALIVE)
    return server, server.add_secure_port(address, credentials)


def pinned_channel(address: str, identity: Identity, peer: bytes) -> grpc.aio.Channel:
    """Make a TLS channel that shows `identity` and accepts the server with exactly the certificate `peer`.

    Args:
        address: host and port.
        identity: the node's own.
        peer: the other node's certificate, DER, from the signed directory.

    Raises:
        CertificateError: `peer` is no certificate.
    """
    credentials = grpc.ssl_channel_credentials(to_pem(peer), identity.key, identity.certificate_pem)
    name = ("grpc.ssl_target_name_override", common_name(peer))
    return grpc.aio.secure_channel(address, credentials, options=(*_CHANNEL, *_KEEPALIVE, name))


def _unix_address(socket: Path) -> str:
    if len(str(socket).encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a socket has at most {_LONGEST_SOCKET_PATH} bytes: {socket}")
    return f"unix:{socket}"
