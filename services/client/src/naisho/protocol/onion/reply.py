"""The reply of a destination node (wire 5.4): made at the node, read at the client."""

from __future__ import annotations

import os
from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import Any, Final

import orjson

from naisho.protocol.errors import BadReply, Undecryptable
from naisho.protocol.limits import MAX_ONION_BYTES
from naisho.protocol.onion.encryption import ChannelKey
from naisho.protocol.randomness import Randomness

_MAX_TEXT: Final = (MAX_ONION_BYTES + 2) // 3 * 4
_LOWEST_STATUS: Final = 100
_HIGHEST_STATUS: Final = 599


@dataclass(frozen=True, slots=True, repr=False)
class NodeReply:
    """What a destination answered."""

    #: HTTP status code of the request itself.
    status: int
    #: Text (JSON text for JSON answers, base64 for binary ones), or the JSON value if ``json`` was asked for.
    body: Any


def encode_reply(status: int, body: bytes, *, binary: bool = False, json: bool = False) -> bytes:
    """Write a reply's plaintext, ``{"status": ..., "body": ...}``.

    Args:
        status: HTTP status code of the request.
        body: as the storage RPC made it: the text of a JSON object, plain text, or arbitrary bytes.
        binary: the body is arbitrary bytes and becomes base64 text.
        json: put a JSON body in as the value that it is, instead of as text. A body is JSON if it starts with ``{``:
            every JSON answer is an object, and no error text starts so.
    """
    value: Any
    if binary:
        value = b2a_base64(body, newline=False).decode("ascii")
    elif json and body[:1] == b"{":
        value = orjson.Fragment(body)
    else:
        value = body.decode("utf-8", "replace")
    return orjson.dumps({"status": status, "body": value})


def seal_reply(key: ChannelKey, plaintext: bytes, *, base64: bool, random: Randomness = os.urandom) -> bytes:
    """Encrypt a reply under its layer's key; the result is the HTTP body, with status 200."""
    sealed = key.seal(plaintext, random)
    return b2a_base64(sealed, newline=False) if base64 else sealed


def open_reply(key: ChannelKey, body: bytes, *, base64: bool) -> NodeReply:
    """Decrypt and read a reply.

    Args:
        key: the key that the destination's layer was sealed with.
        body: HTTP body with status 200.
        base64: what the request asked for; True by default in every client.

    Raises:
        BadReply: not made with that key, or not of that form.
    """
    if len(body) > _MAX_TEXT:
        raise BadReply("a reply is longer than 10 MiB")
    try:
        plaintext = key.open(a2b_base64(body, strict_mode=True) if base64 else body)
        reply = orjson.loads(plaintext)
    except (Error, ValueError, Undecryptable):
        raise BadReply("a reply cannot be decrypted or read") from None
    status = reply.get("status") if isinstance(reply, dict) else None
    if not isinstance(status, int) or isinstance(status, bool) or not _LOWEST_STATUS <= status <= _HIGHEST_STATUS:
        raise BadReply("a reply has no status")
    if "body" not in reply:
        raise BadReply("a reply has no body")
    return NodeReply(status, reply["body"])
