"""naisho: private messages through a network that anyone can run.

>>> import naisho
>>> naisho.AccountId.parse("05" + "00" * 32)
AccountId(…)

`Client` is the front door. Everything here is loaded when it is first used, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from naisho.client import Client
    from naisho.conversation.sending import Delivery
    from naisho.errors import NaishoError
    from naisho.events import (
        Event,
        MessagesRead,
        Reacted,
        RequestAccepted,
        TextReceived,
        TextSentElsewhere,
        Typing,
        Unsent,
    )
    from naisho.paths.status import Light, PathStatus, PathView
    from naisho.protocol.account import AccountId
    from naisho.protocol.network_file import NetworkFile
    from naisho.store.locks import KeyFile, Keyring, Passphrase
    from naisho.store.records import Contact, Message, MessageState
    from naisho.swarm.receipts import Receipt

_HOMES = {
    "AccountId": "naisho.protocol.account",
    "Client": "naisho.client",
    "Contact": "naisho.store.records",
    "Delivery": "naisho.conversation.sending",
    "Event": "naisho.events",
    "KeyFile": "naisho.store.locks",
    "Keyring": "naisho.store.locks",
    "Light": "naisho.paths.status",
    "Message": "naisho.store.records",
    "MessageState": "naisho.store.records",
    "MessagesRead": "naisho.events",
    "NaishoError": "naisho.errors",
    "NetworkFile": "naisho.protocol.network_file",
    "Passphrase": "naisho.store.locks",
    "PathStatus": "naisho.paths.status",
    "PathView": "naisho.paths.status",
    "Reacted": "naisho.events",
    "Receipt": "naisho.swarm.receipts",
    "RequestAccepted": "naisho.events",
    "TextReceived": "naisho.events",
    "TextSentElsewhere": "naisho.events",
    "Typing": "naisho.events",
    "Unsent": "naisho.events",
}

__all__ = [
    "AccountId",
    "Client",
    "Contact",
    "Delivery",
    "Event",
    "KeyFile",
    "Keyring",
    "Light",
    "Message",
    "MessageState",
    "MessagesRead",
    "NaishoError",
    "NetworkFile",
    "Passphrase",
    "PathStatus",
    "PathView",
    "Reacted",
    "Receipt",
    "RequestAccepted",
    "TextReceived",
    "TextSentElsewhere",
    "Typing",
    "Unsent",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
