"""Errors of the SDK, by where something happened and what one can do about it.

NaishoError
├── InputError (ValueError)     what the caller gave: change it
│   ├── BadAccountId            no account id
│   ├── LookalikeAccount        new, but one digit away from a known account
│   ├── BadRecoveryWords        no recovery words
│   ├── BadProfileName          no name for a profile
│   ├── BadDisplayName          a display name that is empty or too long
│   ├── TextTooLong             a text that does not fit into one message
│   └── UnknownMessage          a message that this device does not know
├── StoreError                  this device's encrypted store
│   ├── NoAccount               no account was made or recovered here yet
│   ├── AccountExists           an account is here already
│   ├── WrongKey                the key does not open the store
│   ├── KeyMissing              no key was given for a store that needs one
│   ├── LockNotChosen           a new store, and nothing that could lock it without being told
│   ├── KeyringUnusable         the desktop's key store does not answer
│   ├── StoreDamaged            bytes of the store are not what was written
│   └── StoreFromFuture         written by a newer version
├── NetworkError                joining a network and knowing its nodes
│   ├── NoNetwork               no network file was found
│   ├── BadNetworkFile          a network file that says nothing usable
│   ├── NoDirectory             no source gave a directory
│   ├── DirectoryRefused        a directory that must not be believed
│   └── TooFewNodes             the directory leaves no path or no swarm to choose
├── PathError                   the way through three nodes
│   ├── EntryUnreachable        the first node does not answer
│   ├── PathBroken              a node of the path says that it cannot go on
│   ├── PathSilent              no answer in time
│   └── AnswerUnreadable        an answer came that was not sealed for us
├── SwarmError                  a mailbox and the nodes that keep it
│   ├── SwarmUnreachable        no member of the swarm answered
│   ├── WrongSwarm              members say that another swarm keeps the mailbox
│   ├── ClockWrong              this device's clock and the nodes' differ
│   ├── RequestRefused          a member refused, and says why
│   ├── Overloaded              a member has no room for the request now
│   ├── BadReceipt              a member's signature over its result is wrong
│   └── BadAnswer               a member's answer has not the shape it must have
└── BrokenPlugin                a command of another distribution does not load

Every error says what happened, why, and what to do next, in the user's language: `NaishoError.explain`. The texts are
in the catalogs (`naisho.texts`) under ``errors.<code>``. Details never hold an account, a message hash or an address,
so the text of an error may be logged.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Remedy(StrEnum):
    """What helps, as a program may want to know it."""

    CHANGE_INPUT = "change-input"
    TRY_AGAIN = "try-again"
    CHECK_CONNECTION = "check-connection"
    CHECK_CLOCK = "check-clock"
    UNLOCK = "unlock"
    RESTORE = "restore"
    JOIN = "join"
    UPDATE = "update"
    ASK_OPERATOR = "ask-operator"


class Explanation(NamedTuple):
    """An error in words, each part a sentence or two without line breaks."""

    what: str
    why: str
    next: str


class NaishoError(Exception):
    """Base of all errors of the SDK; never raised itself.

    Attributes:
        code: stable name for programs, lower case with underscores, such as ``no_account``.
        fields: names of the details that this kind carries; all must be given.
        details: their values.

    """

    code: ClassVar[str] = "naisho_error"
    fields: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[Remedy] = Remedy.TRY_AGAIN

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, **details: str | int) -> None:
        if set(details) != set(self.fields):
            raise TypeError(f"{type(self).__name__} takes exactly {self.fields}, not {tuple(details)}")
        super().__init__(*details.values())
        self.details = details

    def explain(self, language: str = "en") -> Explanation:
        """Return what happened, why, and what to do next in a language ("en" or "ja")."""
        from naisho.texts import Texts  # noqa: PLC0415 - catalogs are read only when an error is shown

        texts = Texts.load(language)
        details = dict(self.details)
        if texts.has(code := f"reasons.{details.get('reason')}"):
            details["reason"] = texts(code)
        return Explanation(*(texts(f"errors.{self.code}.{part}", **details) for part in Explanation._fields))

    def __str__(self) -> str:
        return " ".join(self.explain())


class InputError(NaishoError, ValueError):
    """What the caller gave is wrong; never raised itself."""

    remedy = Remedy.CHANGE_INPUT


class BadAccountId(InputError):
    """Not an account id: 66 hex digits that start with 05."""


class LookalikeAccount(InputError):
    """Never written to, and one digit (or two swapped) away from a known account: probably a slip."""


class BadRecoveryWords(InputError):
    """Not recovery words: an unknown word, a wrong count or a wrong checksum word (wire 1.2)."""

    fields = ("reason",)


class BadProfileName(InputError):
    """A profile's name is 1 to 40 letters, digits, ``-`` and ``_``."""


class BadDisplayName(InputError):
    """A display name is 1 to 100 bytes of UTF-8 (wire 1.3)."""

    fields = ("limit",)


class TextTooLong(InputError):
    """The text does not fit into one message."""

    fields = ("length", "limit")


class UnknownMessage(InputError):
    """No message with that time and author is in this device's history."""


class StoreError(NaishoError):
    """This device's encrypted store; never raised itself."""


class NoAccount(StoreError):
    """No account was made or recovered in this profile yet."""

    fields = ("profile",)
    remedy = Remedy.CHANGE_INPUT


class AccountExists(StoreError):
    """This profile holds an account already; it is never replaced."""

    fields = ("profile",)
    remedy = Remedy.CHANGE_INPUT


class WrongKey(StoreError):
    """The passphrase or key does not open the store."""

    remedy = Remedy.UNLOCK


class KeyMissing(StoreError):
    """The store is locked with a passphrase and none was given."""

    remedy = Remedy.UNLOCK


class LockNotChosen(StoreError):
    """A new store, no key store on this machine, nobody to ask for a passphrase, and no wish given."""

    remedy = Remedy.CHANGE_INPUT


class KeyringUnusable(StoreError):
    """The desktop's key store is missing, locked, or does not hold our key."""

    remedy = Remedy.UNLOCK


class StoreDamaged(StoreError):
    """Bytes of the store, or of its key file, are not what was written."""

    remedy = Remedy.RESTORE


class StoreFromFuture(StoreError):
    """The store was written by a newer version of this program."""

    fields = ("version",)
    remedy = Remedy.UPDATE


class NetworkError(NaishoError):
    """Joining a network and knowing its nodes; never raised itself."""

    remedy = Remedy.CHECK_CONNECTION


class NoNetwork(NetworkError):
    """No network file was given, and none is in the data directory."""

    remedy = Remedy.JOIN


class BadNetworkFile(NetworkError):
    """The network file cannot be read or says nothing usable."""

    fields = ("file", "reason")
    remedy = Remedy.JOIN


class NoDirectory(NetworkError):
    """No seed and no node gave a directory, and none that is still valid is cached."""

    fields = ("asked",)


class DirectoryRefused(NetworkError):
    """A directory came, but it is unsigned, expired, older than known or of a lower grade."""

    fields = ("reason",)
    remedy = Remedy.ASK_OPERATOR


class TooFewNodes(NetworkError):
    """The directory has too few nodes that fit together into a path."""

    fields = ("left",)
    remedy = Remedy.ASK_OPERATOR


class PathError(NaishoError):
    """The way through three nodes; never raised itself."""


class EntryUnreachable(PathError):
    """The path's first node does not answer."""

    remedy = Remedy.CHECK_CONNECTION


class PathBroken(PathError):
    """A node of the path answered that it cannot go on (wire 5.7)."""

    fields = ("status", "reason")


class PathSilent(PathError):
    """No answer came through the path in time."""

    fields = ("seconds",)


class AnswerUnreadable(PathError):
    """An answer came back that was not sealed for us, or is malformed."""


class SwarmError(NaishoError):
    """A mailbox and the nodes that keep it; never raised itself."""


class SwarmUnreachable(SwarmError):
    """No member of the mailbox' swarm answered."""

    fields = ("tried", "reason")


class WrongSwarm(SwarmError):
    """Members say that another swarm keeps the mailbox, and asking that one did not help (wire 3.7)."""


class ClockWrong(SwarmError):
    """The nodes refuse this device's time even after setting the offset anew (wire 3.7)."""

    fields = ("reason",)
    remedy = Remedy.CHECK_CLOCK


class RequestRefused(SwarmError):
    """A member refused the request; the text is the member's own."""

    fields = ("status", "reason")


class Overloaded(SwarmError):
    """A member has no room for the request now (503)."""


class BadReceipt(SwarmError):
    """A member's signature over its result is wrong, so it proves nothing (wire 4.3)."""


class BadAnswer(SwarmError):
    """A member's answer has not the shape that the wire protocol gives it."""

    fields = ("reason",)


class BrokenPlugin(NaishoError):
    """A command of another distribution does not load."""

    fields = ("command", "source", "reason")
    remedy = Remedy.UPDATE
