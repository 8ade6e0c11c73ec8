"""What the authority refuses.

MembershipError
├── NotAdmitted        a node that may not join, or not as it announces itself
├── DrainRefused       leaving would harm the network; says how, and what would help
├── UnknownNode        no such node
├── KeyFileError       a key file is missing, readable by others, or holds something else
└── TakenOver          another authority writes in the same network
"""

from __future__ import annotations


class MembershipError(Exception):
    """Base of everything that the authority raises; never raised itself."""


class NotAdmitted(MembershipError):
    """The announcement is refused; the text goes to the node and says what would be right."""


class DrainRefused(MembershipError):
    """The node may not leave now; the text says why and what would help."""


class UnknownNode(MembershipError):
    """The authority knows no node of that key."""


class KeyFileError(MembershipError):
    """A key file cannot be used; the text names the file and says what would be right."""


class TakenOver(MembershipError):
    """Another authority has written in this network since this one last read; only one may."""
