"""gRPC's wire form (HTTP/2, RFC 9113) for one long-lived stream per TLS connection, in the loop's own thread.

Any gRPC library can be the other end. What it does not do: many streams on a connection, compression, deadlines,
plain text. `docs/adr/0004` says why it exists.
"""

from services.chassis.http2.client import dial
from services.chassis.http2.connection import Stream
from services.chassis.http2.server import Incoming, Listener

__all__ = ["Incoming", "Listener", "Stream", "dial"]
