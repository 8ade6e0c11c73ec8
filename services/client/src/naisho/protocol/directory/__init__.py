"""The signed directory: who is in the network, and why that may be believed (design and rules: docs/adr/0008).

``verify`` turns signed bytes into a ``Directory``; ``sign_directory`` and ``delegate`` make them. ``errors`` draws
the tree of what can be wrong.
"""

from naisho.protocol.directory.errors import (
    BadDirectorySignature,
    DirectoryError,
    DirectoryExpired,
    DirectoryFromFuture,
    DirectoryOutdated,
    GradeTooLow,
    MalformedDirectory,
    SigningKeysExpired,
    WrongNetwork,
)
from naisho.protocol.directory.model import Directory, Endpoint, Followed, Freshness, Node, NodeState, Transport
from naisho.protocol.directory.places import network_of
from naisho.protocol.directory.signatures import Purpose, Signer
from naisho.protocol.directory.verification import SigningKeys, delegate, sign_directory, verify
from naisho.protocol.grade import Grade

__all__ = [
    "BadDirectorySignature",
    "Directory",
    "DirectoryError",
    "DirectoryExpired",
    "DirectoryFromFuture",
    "DirectoryOutdated",
    "Endpoint",
    "Followed",
    "Freshness",
    "Grade",
    "GradeTooLow",
    "MalformedDirectory",
    "Node",
    "NodeState",
    "Purpose",
    "Signer",
    "SigningKeys",
    "SigningKeysExpired",
    "Transport",
    "WrongNetwork",
    "delegate",
    "network_of",
    "sign_directory",
    "verify",
]
