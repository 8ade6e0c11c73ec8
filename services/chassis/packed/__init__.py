"""Many calls over one long-lived gRPC stream (docs/adr/0004).

StreamError
├── StreamBusy      too much is under way already; nothing was sent
├── FrameTooLarge   the body can never be sent; nothing was sent
├── StreamBroken    no stream to the peer, or it broke: whether the peer acted on the call is not known
└── StreamTimeout   no answer in time: whether the peer acted on the call is not known
"""

from services.chassis.packed.client import PackedClient, StreamState
from services.chassis.packed.errors import FrameTooLarge, StreamBroken, StreamBusy, StreamError, StreamTimeout
from services.chassis.packed.frames import BUSY, FAILED, Handler, Limits, Reply
from services.chassis.packed.server import Load, serve_packed

__all__ = [
    "BUSY",
    "FAILED",
    "FrameTooLarge",
    "Handler",
    "Limits",
    "Load",
    "PackedClient",
    "Reply",
    "StreamBroken",
    "StreamBusy",
    "StreamError",
    "StreamState",
    "StreamTimeout",
    "serve_packed",
]
