"""The ends of a hop as gRPC's own library makes them: what other software would be, and what ours are compared with."""

from __future__ import annotations

import grpc
import grpc.aio

from services.chassis.certificates import Identity, TrustedPeers, common_name, to_pem
from services.chassis.http2.frames import MAX_MESSAGE

_SIZES = (("grpc.max_send_message_length", MAX_MESSAGE), ("grpc.max_receive_message_length", MAX_MESSAGE))
_CHANNEL = (
    *_SIZES,
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
)
_SERVER = (*_SIZES, ("grpc.so_reuseport", 0))


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
    server = grpc.aio.server(options=_SERVER)
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
    return grpc.aio.secure_channel(address, credentials, options=(*_CHANNEL, name))
