"""What a call over a packed stream can end in; the tree is drawn in the package's docstring."""

from __future__ import annotations


class StreamError(Exception):
    """Base of everything that packed streams raise; never raised itself."""


class StreamBusy(StreamError):
    """As much is under way as the limits allow; nothing was sent. Answer 503, or try later."""


class FrameTooLarge(StreamError, ValueError):
    """The body exceeds the limit for one frame; nothing was sent.

    Attributes:
        limit: the largest allowed body in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body exceeds {limit} bytes")
        self.limit = limit


class StreamBroken(StreamError):
    """There is no stream to the peer, or it broke before the answer came.

    Whether the peer acted on the call is not known, so nothing is ever sent again without the caller's doing.
    """


class StreamTimeout(StreamError, TimeoutError):
    """No answer within the caller's bound. Whether the peer acted on the call is not known."""
