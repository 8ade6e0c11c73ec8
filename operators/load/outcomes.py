"""What became of a request, as its sender sees it."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The four ends that a request can come to."""

    #: The receiving node says, and for a change signs, that it is done.
    ACKNOWLEDGED = "acknowledged"
    #: It is certain that nothing was changed.
    FAILED = "failed"
    #: A change that was sent and of which nobody knows whether it was done.
    UNKNOWN = "unknown"
    #: Never sent: as many requests as may be were under way.
    SHED = "shed"


#: Kinds of errors that this program gives; the others are the codes of `naisho.errors` and ``status_NNN``.
SHED, TIMED_OUT, LOST, UNREACHABLE, NO_MEMBER, ABSENT = (
    "shed",
    "timed_out",
    "connection_lost",
    "unreachable",
    "no_member",
    "absent",
)
