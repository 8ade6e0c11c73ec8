"""Whatever a request holds, it is answered; whatever a listing's limits, every message comes once and in order."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naisho.protocol.signing import SigningKey
from services.swarm.adapters.memory_mailboxes import MemoryMailboxes
from services.swarm.api.dispatch import StorageRpc
from tests.property.one_swarm import Nodes

NOW = 1_700_000_000_000
KEY = SigningKey(b"k" * 32)
ACCOUNT = "03" + KEY.public.hex()
HASH = "A" * 43
STATUSES = {200, 400, 401, 403, 404, 406, 421}

GOOD: dict[str, Any] = {
    "pubkey": ACCOUNT,
    "timestamp": NOW,
    "ttl": 86_400_000,
    "data": "AAAA",
    "namespace": 0,
    "messages": [HASH],
    "signature": "A" * 86,
    "before": NOW,
    "expiry": NOW,
    "revoke": "00" * 36,
    "unrevoke": "00" * 36,
    "endpoint": "get_service_nodes",
    "requests": [{"method": "info", "params": {}}],
    "if": {"height_at_least": 1},
    "then": {"method": "info", "params": {}},
}
FIELDS = sorted(
    {
        *GOOD,
        *("pubKey", "pubkey_ed25519", "subaccount", "subaccount_sig", "sig_timestamp", "last_hash", "lastHash"),
        *("max_count", "max_size", "maxSize", "required", "shorten", "extend", "extends", "else", "params"),
    }
)
METHODS = (
    *("store", "retrieve", "delete", "delete_all", "delete_before", "expire", "expire_all", "get_expiries", "info"),
    *("revoke_subaccount", "unrevoke_subaccount", "revoked_subaccounts", "get_swarm", "get_snodes_for_pubkey"),
    *("active_nodes_bin", "oxend_request", "batch", "sequence", "ifelse"),
)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=50) | st.sampled_from(["all", HASH, ACCOUNT, "A" * 86, "00" * 36, str(NOW), ""])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


class Node:
    """A node and a loop to ask it in."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.rpc = StorageRpc(MemoryMailboxes([KEY], lambda: NOW), Nodes(), lambda: NOW, rng=Random(1))

    def ask(self, method: str, params: Any) -> tuple[int, bytes]:
        return self.raw(orjson.dumps({"method": method, "params": params}))

    def raw(self, body: bytes) -> tuple[int, bytes]:
        reply = self.loop.run_until_complete(self.rpc.handle(1, body))
        return reply.status, reply.body

    def listed(self, **params: Any) -> Any:
        status, body = self.ask("retrieve", {"pubkey": ACCOUNT, "namespace": -10, **params})
        assert status == 200
        return orjson.loads(body)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.loop.close()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(FIELDS), values, max_size=4))
def test_any_parameters_are_answered(node: Node, method: str, changed: dict[str, Any]) -> None:
    status, body = node.ask(method, GOOD | changed)
    assert status in STATUSES, body


@settings(max_examples=200, deadline=None)
@given(values)
def test_any_json_is_answered(node: Node, value: Any) -> None:
    assert node.raw(orjson.dumps(value))[0] == 400
    assert node.ask("batch", {"requests": [value]})[0] == 400
    status, _ = node.ask("oxend_request", {"endpoint": "get_service_nodes", "params": value})
    assert status in {200, 400}
    status, _ = node.ask("oxend_request", {"endpoint": "get_service_nodes", "params": {"fields": value}})
    assert status in {200, 400}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 2_000), max_size=25),
    max_size=st.none() | st.integers(1, 6_000) | st.integers(-100_000, -1),
    max_count=st.none() | st.integers(0, 7),
)
def test_every_message_is_listed_once_and_in_order(
    sizes: list[int], max_size: int | None, max_count: int | None
) -> None:
    node = Node()
    try:
        bodies = [b"%04d" % number + bytes(size) for number, size in enumerate(sizes)]
        for body in bodies:
            data = base64.b64encode(body).decode()
            status, _ = node.ask(
                "store", {"pubkey": ACCOUNT, "namespace": -10, "timestamp": NOW, "ttl": 60_000, "data": data}
            )
            assert status == 200
        found: list[bytes] = []
        last, more = "", True
        while more:
            page = node.listed(last_hash=last, max_size=max_size, max_count=max_count)
            assert page["messages"] or not found
            found += [base64.b64decode(message["data"]) for message in page["messages"]]
            assert not max_count or len(page["messages"]) <= max_count
            last, more = page["messages"][-1]["hash"] if page["messages"] else "", page["more"]
        assert found == bodies
    finally:
        node.loop.close()
