"""Errors of the protocol.

ProtocolError
├── BadEncoding           hexadecimal or base64 text of the wrong shape
├── BadKey                bytes that are no key or seed
├── BadAccountId          not an account identifier
├── BadRecoveryPhrase     words that are no recovery phrase
├── BadToken              not a subaccount token
├── BadBencode            not canonical bencode, too deep or too long
├── BadNodeList           not a binary node list
├── BadEnvelope           a message that is no envelope for us, or whose signature is wrong
├── BadAttachment         an attachment that is too large, damaged or encrypted under another key
├── BadFrame              not the framing of an onion layer
├── BadReply              a reply that no node would have made
├── BadServerPayload      not a v4 request or response
└── OnionError            a layer that a hop refuses; carries the hop's answer
    ├── BadOuterLayer     the JSON beside the outermost ciphertext cannot be read
    ├── Undecryptable     the ciphertext does not open with the key named beside it
    ├── TooManyHops       the layer has come through more hops than allowed
    ├── BadInnerLayer     the decrypted layer cannot be read
    └── BadUrl            the layer asks for a server address that is not allowed

None of their texts holds a key, an account, an address or a byte of the input.
"""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(ValueError):
    """Base of everything that this package raises on bad input."""


class BadEncoding(ProtocolError):
    """Text that is not hexadecimal or base64 of the expected length."""


class BadKey(ProtocolError):
    """Bytes that are no key, or no seed, of the expected kind."""


class BadAccountId(ProtocolError):
    """Not an account identifier: 33 bytes, 66 hexadecimal digits (wire 0)."""


class BadRecoveryPhrase(ProtocolError):
    """Words that are no recovery phrase; the text says which word is wrong by its place, never the word."""


class BadToken(ProtocolError):
    """Not a subaccount token (wire 4.4)."""


class BadBencode(ProtocolError):
    """Not canonical bencode, nested too deeply, or longer than allowed."""


class BadNodeList(ProtocolError):
    """Not a binary node list (wire 2.4)."""


class BadEnvelope(ProtocolError):
    """Not a message that we can open: wrong form, wrong recipient, or wrong signature (wire 8.1)."""


class BadAttachment(ProtocolError):
    """An attachment that is too large, damaged, or encrypted under another key (wire 6.4)."""


class BadFrame(ProtocolError):
    """Not the framing of an onion layer (wire 5.1)."""


class BadReply(ProtocolError):
    """A reply through a path that its destination would not have made (wire 5.4)."""


class BadServerPayload(ProtocolError):
    """Not a v4 request or response (wire 5.6)."""


class OnionError(ProtocolError):
    """A layer that a hop refuses (wire 5.3).

    Attributes:
        status: the hop's HTTP status code.
        text: body of its answer, byte-exact, because clients search for it.
        encrypted: whether the answer goes inside the layer's encryption (with HTTP 200 outside) or plainly.
    """

    status: ClassVar[int] = 400
    encrypted: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadOuterLayer(OnionError):
    """The outermost layer's framing or JSON cannot be read."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"Error parsing onion request: {detail}")


class Undecryptable(OnionError):
    """The ciphertext does not open with this key."""

    def __init__(self) -> None:
        super().__init__("Invalid ciphertext")


class TooManyHops(OnionError):
    """The layer says that it has come through more hops than allowed."""

    def __init__(self) -> None:
        super().__init__("onion request max path length exceeded")


class BadInnerLayer(OnionError):
    """The decrypted layer's framing or JSON cannot be read."""

    encrypted: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("Invalid json")


class BadUrl(OnionError):
    """The decrypted layer asks for a server address that is not allowed."""

    encrypted: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("Invalid url")
