"""The log's certificates are renewed while everything runs, as cert-manager would do it: by writing their Secret."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from operators.membership.kube.authority_certificates import Certified, make_server
from tests.cluster.kubectl import CommandFailed, Installed
from tests.cluster.steps import Step

_SERVERS: Final = 3
_WITHIN_S: Final = 5.0


def certificates() -> Step:
    """Renew them, and see that every server shows the new one without a restart."""

    async def do(network: Installed) -> None:
        before = await _pods(network)
        ca, old = await _secret(network, "naisho-ca"), await _secret(network, "naisho-nats-tls")
        names = x509.load_pem_x509_certificate(old["tls.crt"]).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        hosts = names.value.get_values_for_type(x509.DNSName)
        made = make_server(Certified(ca["ca.crt"], ca["ca.key"]), "naisho-nats", hosts, now=datetime.now(UTC))
        data = {"tls.crt": _text(made.certificate), "tls.key": _text(made.key)}
        await network.patch("secret", "naisho-nats-tls", {"data": data})
        wanted = x509.load_pem_x509_certificate(made.certificate)

        async def all_show_it() -> bool:
            shown = [await asyncio.to_thread(_shown, pod["status"]["podIP"]) for pod in before.values()]
            return all(certificate == wanted for certificate in shown)

        await network.until("every server of the log shows the new certificate", all_show_it)
        if {pod["metadata"]["uid"] for pod in (await _pods(network)).values()} != {
            pod["metadata"]["uid"] for pod in before.values()
        }:
            raise CommandFailed("a server of the log was replaced")

    return Step("renew the log's certificates, without a restart", do)


async def _pods(network: Installed) -> dict[str, dict[str, Any]]:
    items = (await network.get("pods", "--selector", "app.kubernetes.io/component=nats"))["items"]
    if len(items) != _SERVERS:
        raise CommandFailed(f"there are {len(items)} servers of the log")
    return {item["metadata"]["name"]: item for item in items}


async def _secret(network: Installed, name: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (await network.get("secret", name))["data"].items()}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _shown(address: str) -> x509.Certificate | None:
    """Return the certificate that a server shows; it speaks first and in the clear, and only then TLS begins."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((address, 4222), timeout=_WITHIN_S) as plain:
            plain.recv(4096)
            with context.wrap_socket(plain) as secured:
                shown = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(shown) if shown else None
