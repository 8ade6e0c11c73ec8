"""Every parser of untrusted bytes in ``naisho.protocol``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import pytest

import naisho.protocol
from naisho.protocol import attachments, bencode, envelope, node_list
from naisho.protocol.account import AccountId, AccountKeys, ed25519_to_x25519, x25519_to_ed25519_positive
from naisho.protocol.encoding import from_base64, from_hex
from naisho.protocol.errors import (
    BadAccountId,
    BadAttachment,
    BadBencode,
    BadEncoding,
    BadEnvelope,
    BadInnerLayer,
    BadKey,
    BadNodeList,
    BadOuterLayer,
    BadRecoveryPhrase,
    BadReply,
    BadServerPayload,
    BadToken,
    BadUrl,
    TooManyHops,
    Undecryptable,
)
from naisho.protocol.errors import BadFrame as BadFraming
from naisho.protocol.message_hash import hash_text, parse_hash
from naisho.protocol.onion import framing, reply, routing, v4
from naisho.protocol.onion.encryption import ChannelKey, Encryption, LayerKey, agree_as_client
from naisho.protocol.randomness import Randomness
from naisho.protocol.recovery import from_words, to_words
from naisho.protocol.signing import SigningKey, verify
from naisho.protocol.subaccount import Token
from naisho.wire.session.v1.session_pb2 import (
    AttachmentPointer,
    CallMessage,
    Content,
    DataMessage,
    Profile,
    ReceiptMessage,
)

SMALL_ORDER = (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xff" * 32)
KEY = LayerKey(b"\x11" * 32)
HEX = b"ab" * 32


class Target(NamedTuple):
    parse: Callable[[bytes], object]
    seeds: Sequence[bytes]
    refuses: tuple[type[Exception], ...]
    tokens: Sequence[bytes] = ()


class Unsealed:
    """A layer's key that encrypts nothing, so that what lies inside can be fuzzed."""

    def seal(self, plaintext: bytes, random: Randomness = bytes) -> bytes:  # noqa: ARG002 - the port's signature
        return plaintext

    def open(self, ciphertext: bytes) -> bytes:
        return ciphertext


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def bencode_both_ways(raw: bytes) -> None:
    assert bencode.encode(bencode.decode(raw)) == raw


def node_list_both_ways(raw: bytes) -> None:
    assert node_list.encode(node_list.decode(raw)) == raw


def hash_both_ways(raw: bytes) -> None:
    assert hash_text(parse_hash(text(raw))) == text(raw)


def words_both_ways(raw: bytes) -> None:
    assert from_words(to_words(from_words(text(raw)))) == from_words(text(raw))


def padding(raw: bytes) -> None:
    assert len(envelope.unpad(raw)) <= len(raw)
    assert envelope.unpad(envelope.pad(raw)) == raw


def texts_are_text(raw: bytes) -> None:
    content = envelope.read_content(raw)
    content.dataMessage.body.encode()
    content.dataMessage.profile.displayName.encode()
    [sdp.encode() for sdp in content.callMessage.sdps]


def attachment(raw: bytes) -> None:
    attachments.decrypt(raw, bytes(64), sha256(raw).digest(), 9)


def channel(encryption: Encryption) -> ChannelKey:
    return KEY.agree(encryption, LayerKey(b"\x22" * 32).public)


def open_layer(raw: bytes) -> None:
    KEY.open(Encryption.XCHACHA20, raw[:32], raw[32:])


def layer_for_us() -> bytes:
    ephemeral, key = agree_as_client(Encryption.XCHACHA20, KEY.public)
    return ephemeral + key.seal(b"layer")


def messages() -> list[bytes]:
    contents = [
        Content(dataMessage=DataMessage(body="hello", profile=Profile(displayName="é"), syncTarget="05" * 33)),
        Content(dataMessage=DataMessage(attachments=[AttachmentPointer(id=1, url="http://x/1", key=bytes(64))])),
        Content(callMessage=CallMessage(type=CallMessage.OFFER, sdps=["a", "b"], uuid="u"), sigTimestamp=5),
        Content(receiptMessage=ReceiptMessage(type=ReceiptMessage.READ, timestamp=[1, 2, 3])),
    ]
    return [content.SerializeToString() for content in contents]


def envelopes() -> list[bytes]:
    sender, recipient = AccountKeys(b"\1" * 16), AccountKeys(b"\2" * 16)
    return [
        envelope.wrap(sender, recipient.account_id, Content.FromString(raw), 1_700_000_000_000) for raw in messages()
    ]


ROUTES = [
    framing.encode(b"blob", {"headers": "", "json": True, "base64": False}),
    framing.encode(b"blob", {"host": "h.example", "target": "/oxen/v4/lsrpc", "port": 80, "protocol": "http"}),
    framing.encode(b"blob", {"destination": HEX.decode(), "ephemeral_key": HEX.decode(), "enc_type": "xchacha20"}),
]
OUTER = [framing.encode(b"blob", {"ephemeral_key": HEX.decode(), "enc_type": "aes-gcm", "hop_no": 3})]
ROUTE_TOKENS = (
    b'"headers":',
    b'"host":',
    b'"port":',
    b'"json":',
    b'"enc_type":',
    b'"hop_no":',
    b"/loki/",
    b"..",
    b"\x00",
)
REQUEST = v4.encode_request(v4.Request("POST", "/file?x=1", {"A": "b"}, b"body"))
RESPONSE = v4.encode_response(v4.Response(200, {"a": "b"}, b"body"))
RECORD = node_list.encode([node_list.NodeRecord(bytes(32), 5, "192.0.2.1", 1, 2, (2, 11, 0))])
REPLY = reply.encode_reply(200, b'{"t":1}')
TOKEN = bytes([3, 3, 0, 0]) + bytes(32)
SEALED = [envelope.read_envelope(data).content for data in envelopes()[:1]]

TARGETS: dict[str, Target] = {
    "account.AccountId.parse": Target(lambda raw: AccountId.parse(text(raw)), [b"05" + HEX], (BadAccountId,)),
    "account.AccountId.from_bytes": Target(AccountId.from_bytes, [bytes(33)], (BadAccountId,)),
    "account.ed25519_to_x25519": Target(ed25519_to_x25519, [SigningKey(bytes(32)).public], (BadKey,), SMALL_ORDER),
    "account.x25519_to_ed25519_positive": Target(x25519_to_ed25519_positive, [KEY.public], (BadKey,), SMALL_ORDER),
    "attachments.decrypt": Target(attachment, [attachments.encrypt(b"a picture", random=bytes).body], (BadAttachment,)),
    "attachments.decrypt_picture": Target(
        lambda raw: attachments.decrypt_picture(raw, bytes(32)),
        [attachments.encrypt_picture(b"a face", bytes(32))],
        (BadAttachment,),
    ),
    "bencode.decode": Target(
        bencode_both_ways,
        [b"d1:ai5e1:bl4:texti-3eee", b"li0e0:dee", b"l" * 16 + b"e" * 16, REQUEST],
        (BadBencode,),
        (b"i-0e", b"i00e", b"0:", b"1:a", b"l", b"d", b"e", b"99999999999:"),
    ),
    "encoding.from_hex": Target(lambda raw: from_hex(text(raw), 32), [HEX], (BadEncoding,), (b" ", b"\t")),
    "encoding.from_base64": Target(
        lambda raw: from_base64(text(raw), max_bytes=64),
        [b"QUJDRA==", b"QUJDRA", b"A" * 86],
        (BadEncoding,),
        (b"=", b"\n"),
    ),
    "envelope.open_sealed": Target(
        partial(envelope.open_sealed, AccountKeys(b"\2" * 16)), SEALED, (BadEnvelope,), SMALL_ORDER
    ),
    "envelope.read_content": Target(texts_are_text, messages(), (BadEnvelope,)),
    "envelope.read_envelope": Target(envelope.read_envelope, envelopes(), (BadEnvelope,)),
    "envelope.unpad": Target(padding, [envelope.pad(b"hello"), b"\x80", b"\0"], ()),
    "message_hash.parse_hash": Target(hash_both_ways, [hash_text(bytes(32)).encode()], (BadEncoding,)),
    "node_list.decode": Target(node_list_both_ways, [RECORD, RECORD * 3, b""], (BadNodeList,)),
    "onion.encryption.Encryption.parse": Target(
        lambda raw: Encryption.parse(text(raw)), [kind.value.encode() for kind in Encryption], (BadEncoding,)
    ),
    "onion.encryption.LayerKey.open": Target(open_layer, [layer_for_us()], (Undecryptable,), SMALL_ORDER),
    **{
        f"onion.encryption.ChannelKey.open {kind.value}": Target(
            channel(kind).open, [channel(kind).seal(b"layer"), channel(kind).seal(b"")], (Undecryptable,)
        )
        for kind in Encryption
    },
    "onion.framing.decode": Target(framing.decode, [*ROUTES, *OUTER], (BadFraming,), ROUTE_TOKENS),
    "onion.framing.decode_outer": Target(framing.decode_outer, OUTER, (BadOuterLayer, TooManyHops), ROUTE_TOKENS),
    "onion.reply.open_reply": Target(
        lambda raw: reply.open_reply(Unsealed(), raw, base64=False), [REPLY], (BadReply,), (b'"status":', b'"body":')
    ),
    "onion.reply.open_reply base64": Target(
        lambda raw: reply.open_reply(Unsealed(), raw, base64=True),
        [reply.seal_reply(Unsealed(), REPLY, base64=True)],
        (BadReply,),
    ),
    "onion.routing.decode_route": Target(routing.decode_route, ROUTES, (BadInnerLayer, BadUrl), ROUTE_TOKENS),
    "onion.v4.decode_request": Target(v4.decode_request, [REQUEST], (BadServerPayload,), (b'"headers":', b"0:")),
    "onion.v4.decode_response": Target(v4.decode_response, [RESPONSE], (BadServerPayload,), (b'"code":', b"0:")),
    "recovery.from_words": Target(
        words_both_ways, [to_words(bytes(range(16))).encode()], (BadRecoveryPhrase,), (b"zoom",)
    ),
    "signing.verify": Target(
        lambda raw: verify(raw[:32], raw[96:], raw[32:96]),
        [SigningKey(bytes(32)).public + SigningKey(bytes(32)).sign(b"text") + b"text"],
        (),
        SMALL_ORDER,
    ),
    "subaccount.Token.parse": Target(lambda raw: Token.parse(text(raw)), [TOKEN.hex().encode()], (BadToken,)),
}

#: Thin layers over parsers above.
COVERED_BY_OTHERS = {
    "account.AccountKeys.from_seed",
    "envelope.unwrap",
    "onion.encryption.LayerKey.from_ed25519_seed",
    "onion.packet.HopKey.from_ed25519",
    "onion.packet.NodePacket.read",
    "onion.packet.ServerPacket.read",
}
#: Parts with a fuzz test of their own.
ELSEWHERE = ("directory", "network_file", "grade", "service_nodes")
READING = re.compile(r"(decode|parse|read|open|unwrap|unpad|decrypt|from)(_|$)")


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_returns_or_refuses(name: str, fuzz: Callable[..., None]) -> None:
    fuzz(name, *TARGETS[name])


def test_no_parser_is_forgotten() -> None:
    found = {
        f"{place}.{name}"
        for module in pkgutil.walk_packages(naisho.protocol.__path__, "naisho.protocol.")
        if not (place := module.name.removeprefix("naisho.protocol.")).startswith(ELSEWHERE)
        for name in readers(module.name)
    }
    fuzzed = {name.split(" ")[0] for name in TARGETS}
    assert found <= fuzzed | COVERED_BY_OTHERS
    assert len(found) > 20


def readers(module_name: str) -> set[str]:
    """Return the public functions and methods of a module whose name says that they read."""
    module = importlib.import_module(module_name)
    found = set()
    for name, member in inspect.getmembers(module):
        if getattr(member, "__module__", None) != module_name or name.startswith("_"):
            continue
        if inspect.isfunction(member) and READING.match(name):
            found.add(name)
        elif inspect.isclass(member):
            found |= {f"{name}.{method}" for method in vars(member) if READING.match(method)}
    return found
