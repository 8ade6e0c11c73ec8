"""How clients speak TLS with nodes."""

from __future__ import annotations

import ssl


def anonymous_tls() -> ssl.SSLContext:
    """Return what clients speak TLS with; none of them checks a node's certificate (wire 2.2)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
