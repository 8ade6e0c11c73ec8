"""TLS between two who know each other's certificates."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from services.chassis.certificates import Identity


def context_of(identity: Identity, purpose: ssl._SSLMethod, trusted: bytes, protocol: str = "h2") -> ssl.SSLContext:
    """Return a context that shows `identity` and asks the other end for a certificate.

    Args:
        identity: our own.
        purpose: ``ssl.PROTOCOL_TLS_SERVER`` or ``ssl.PROTOCOL_TLS_CLIENT``.
        trusted: certificates to accept, DER or PEM, and those that one of them has signed: compare afterwards.
        protocol: to agree on.
    """
    context = ssl.SSLContext(purpose)
    context.check_hostname = False  # the certificate itself is expected, whatever name it bears
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if purpose is ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # every connection shows its certificate
    context.set_alpn_protocols([protocol])
    if trusted:
        context.load_verify_locations(cadata=trusted.decode() if trusted.startswith(b"-") else trusted)
    load_identity(context, identity)
    return context


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Let a context show an identity. OpenSSL reads files only; this one lives in memory."""
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(identity.certificate_pem + identity.key)
        file.flush()
        context.load_cert_chain(Path(f"/proc/self/fd/{descriptor}"))


def certificate_of(transport: object) -> bytes | None:
    """Return the certificate (DER) that the other end of a transport has shown."""
    shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)  # type: ignore[attr-defined]
    return shown if isinstance(shown, bytes) else None
