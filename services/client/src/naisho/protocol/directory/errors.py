"""What can be wrong with a directory.

DirectoryError
├── MalformedDirectory      the bytes break a rule of form or a bound
├── BadDirectorySignature   not signed by the keys that may, or unsigned
├── SigningKeysExpired      the delegation by the root keys is over, or does not cover this epoch
├── WrongNetwork            the document of another network
├── DirectoryExpired        older than its validity
├── DirectoryFromFuture     issued later than now: a clock is wrong
├── GradeTooLow             a lower grade than the network file demands
└── DirectoryOutdated       an older epoch than one already seen
"""

from __future__ import annotations

from naisho.protocol.errors import ProtocolError


class DirectoryError(ProtocolError):
    """Base of everything that verification of a directory raises; never raised itself."""


class MalformedDirectory(DirectoryError):
    """The bytes are no directory, or a field breaks its rule or bound."""


class BadDirectorySignature(DirectoryError):
    """Too few valid signatures: of the signing keys on the directory, or of the root keys on the signing keys."""


class SigningKeysExpired(DirectoryError):
    """The root keys' delegation to the signing keys is over, or covers other epochs."""


class WrongNetwork(DirectoryError):
    """The directory names another network than the network file."""


class DirectoryExpired(DirectoryError):
    """The directory is older than its validity; nothing may be sent by it."""


class DirectoryFromFuture(DirectoryError):
    """The directory was issued later than now by more than clocks differ."""


class GradeTooLow(DirectoryError):
    """The directory's grade is lower than the lowest that the network file accepts."""


class DirectoryOutdated(DirectoryError):
    """A directory of a newer epoch was seen before: somebody plays back an old one."""
