"""What can go wrong between this process and a NATS server.

NatsError
├── Unavailable             no connection, or it broke while an answer was awaited; says whether anything was sent
├── RequestTimedOut         sent, but no answer within the bound
├── NoResponders            sent, but nobody listens on the subject
├── Congested               the server reads too slowly; nothing was sent
├── PayloadTooLarge         headers and payload exceed the server's limit; nothing was sent
├── PermissionDenied        the server refused the subject for this user
├── AuthenticationFailed    the server refused this user
├── UnusableCredentials     the files of this user or its trusted authority cannot be used; nothing was sent
└── ProtocolViolation       what came is not the NATS protocol
"""

from __future__ import annotations


class NatsError(Exception):
    """Base of everything that this package raises; never raised itself. No text names a subject."""


class Unavailable(NatsError):
    """There is no connection to a server.

    Attributes:
        maybe_sent: false if nothing was written, so that repeating is safe.
    """

    def __init__(self, text: str, *, maybe_sent: bool) -> None:
        super().__init__(text)
        self.maybe_sent = maybe_sent


class RequestTimedOut(NatsError):
    """No answer came within the bound; whether the request was carried out is not known."""


class NoResponders(NatsError):
    """Nobody listens on the subject of the request."""


class Congested(NatsError):
    """More bytes than allowed wait to be read by the server; nothing was sent."""


class PayloadTooLarge(NatsError):
    """Headers and payload together are larger than the server accepts; nothing was sent.

    Attributes:
        limit: most bytes that headers and payload may have together.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"headers and payload may have {limit} bytes together; send less")
        self.limit = limit


class PermissionDenied(NatsError):
    """The server does not allow this user the subject. Grant it in the server's configuration or do without.

    Attributes:
        subject: the subject that was refused, for tests and for matching; not for logs.
    """

    def __init__(self, text: str, subject: str) -> None:
        super().__init__(text)
        self.subject = subject


class AuthenticationFailed(NatsError):
    """The server refused the user's key or JWT, or wants one and none was given."""


class UnusableCredentials(NatsError):
    """A file of the user's key, JWT or trusted authority is missing or holds something else; the text names it."""


class ProtocolViolation(NatsError):
    """The bytes received are not the NATS protocol, or exceed its limits."""
