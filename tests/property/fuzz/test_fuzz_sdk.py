"""Everything that the SDK reads from nodes and from other people, beyond what `naisho.protocol` reads for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from naisho.conversation.content import Accepted, PutEmoji, ReadThese, Said, TookBack, Wrote, from_content, to_content
from naisho.errors import NaishoError
from naisho.paths.choosing import Route
from naisho.paths.failures import read_failure
from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId
from naisho.protocol.encoding import to_base64
from naisho.protocol.envelope import read_content
from naisho.protocol.errors import BadEnvelope
from naisho.protocol.signing import SigningKey
from naisho.swarm.answers import listed_members, parts_of, read_answer
from naisho.swarm.mailbox import read_listing
from naisho.swarm.receipts import read_delete, read_store
from naisho.testing import FakeNetwork

Fuzz = Callable[..., None]

ACCOUNT = AccountId.from_bytes(b"\x05" * 33)
HASH = "x" * 43
NODES = FakeNetwork(6).directory.nodes
ROUTE = Route(*NODES[:3])
KEY = SigningKey(bytes(32))
MEMBER = replace(NODES[0], key=KEY.public)
NAMES = [b'"results"', b'"code"', b'"body"', b'"swarm"', b'"snodes"', b'"messages"', b'"hash"', b"421", b"406", b"200"]


def json(data: bytes) -> Any:
    """Return the value, as `read_answer` would find it in a reply."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def answers(data: bytes) -> None:
    answer = read_answer(100 + int.from_bytes(data[:2], "little") % 500, json(data[2:]))
    listed_members(answer.body)
    parts_of(answer.body, 2)


def receipts(data: bytes) -> None:
    value = json(data)
    body = value if isinstance(value, dict) else {}
    deleted = b'"deleted"' in data
    receipt = read_delete(body, [MEMBER], ACCOUNT, [HASH]) if deleted else read_store(body, [MEMBER], HASH)
    assert receipt.members == (KEY.public,)
    assert KEY.public.hex() in {str(name).lower() for name in body["swarm"]}


def listings(data: bytes) -> None:
    value = json(data)
    for message in read_listing(0, value if isinstance(value, dict) else {}).messages:
        assert 0 <= message.timestamp_ms < 2**62
        assert 0 <= message.expires_ms < 2**62


def hops(data: bytes) -> None:
    failure = read_failure(int.from_bytes(data[:2], "little"), data[2:], ROUTE, NODES[3].key)
    assert set(failure.blamed) <= {node.key for node in NODES[:4]}
    assert all(isinstance(detail, int) or detail.isprintable() for detail in failure.error.details.values())


def contents(data: bytes) -> None:
    spoken = from_content(read_content(data))
    if isinstance(spoken, Said):
        assert spoken.name.isprintable()


def test_answers(fuzz: Fuzz) -> None:
    done = {"results": [{"code": 200, "body": {"messages": [], "more": False}}, {"code": 200, "body": {}}]}
    moved = {"snodes": [{"pubkey_ed25519": NODES[0].key.hex(), "ip": "192.0.2.1", "port": "22021"}], "swarm": "ff"}
    batch = {"results": [{"code": 421, "body": moved}, {"code": 421, "body": moved}]}
    seeds = [b"\x64\x00" + orjson.dumps(done), b"\x41\x01" + orjson.dumps(moved), b"\x64\x00" + orjson.dumps(batch)]
    fuzz("sdk answers", answers, seeds, (NaishoError,), tokens=NAMES)


def test_receipts(fuzz: Fuzz) -> None:
    signature = to_base64(KEY.sign(storage_texts.store_result(HASH)))
    deletion = to_base64(KEY.sign(storage_texts.delete_result(ACCOUNT.hex, [HASH], [HASH])))
    seeds = [
        orjson.dumps({"swarm": {KEY.public.hex(): {"hash": HASH, "signature": signature}}, "hash": HASH}),
        orjson.dumps({"swarm": {KEY.public.hex(): {"deleted": [HASH], "signature": deletion}}}),
        orjson.dumps({"swarm": {KEY.public.hex(): {"failed": True, "timeout": True}}}),
    ]
    fuzz("sdk receipts", receipts, seeds, (NaishoError,), tokens=[*NAMES, b'"failed"', b'"signature"', b'"deleted"'])


def test_listings(fuzz: Fuzz) -> None:
    message = {"hash": HASH, "data": "QUJD", "timestamp": 1_700_000_000_000, "expiration": 1_800_000_000_000}
    seeds = [orjson.dumps({"messages": [message, message], "more": True}), b'{"messages":[]}']
    fuzz("sdk listings", listings, seeds, (NaishoError,), tokens=[*NAMES, b'"data"', b'"timestamp"', b'"expiration"'])


def test_hops(fuzz: Fuzz) -> None:
    seeds = [(502).to_bytes(2, "little") + b"Next node not found: " + node.key.hex().encode() for node in NODES] + [
        (503).to_bytes(2, "little") + b"Snode not ready: " + NODES[2].key.hex().encode()
    ]
    fuzz("sdk hops", hops, seeds, ())


def test_contents(fuzz: Fuzz) -> None:
    said = (
        Said("text", "name", ACCOUNT),
        Wrote(started=True),
        ReadThese((1, 2)),
        PutEmoji(ACCOUNT, 5, "👍", removed=False),
        TookBack(ACCOUNT, 5),
        Accepted("name"),
    )
    seeds = [to_content(each, 5).SerializeToString() for each in said]
    fuzz("sdk contents", contents, seeds, (BadEnvelope,))
