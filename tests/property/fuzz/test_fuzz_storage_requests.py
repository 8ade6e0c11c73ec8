"""Requests to mailboxes, whole: JSON, parameters, permission, work; and the events that nodes read from the log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from naisho.protocol.account import AccountKeys
from naisho.protocol.signing import SigningKey
from services.swarm.adapters.event_codec import SealedBody, UnreadableEvent, decode, encode
from services.swarm.adapters.memory_mailboxes import MemoryMailboxes
from services.swarm.api.dispatch import StorageRpc
from services.swarm.domain.admission import Places
from services.swarm.domain.commands import Command
from services.swarm.domain.events import (
    ChangedMessage,
    Deleted,
    DeletedMessage,
    Event,
    ExpiryChanged,
    Revoked,
    Stored,
    Unrevoked,
)
from services.swarm.domain.policies import Quotas
from services.swarm.domain.ports import SwarmAnswer
from tests.property.one_swarm import Nodes

NOW = 1_700_000_000_000
HASH = "A" * 43
STATUSES = {200, 400, 401, 403, 404, 406, 421}
KEYS = AccountKeys(b"0123456789abcdef")
TOKEN_KEY = SigningKey(b"t" * 32)
TOKEN = b"\x05\x0f\0\0" + TOKEN_KEY.public
REPEATED = ("no method ", "no oxend endpoint ")


class Answered(Exception):
    """An answer other than 200, told so that the fuzzer knows a new one when it sees it."""


class CountingMailboxes(MemoryMailboxes):
    """Mailboxes that know how often they were asked to change."""

    executed = 0

    async def execute(self, command: Command, places: Places | None = None) -> SwarmAnswer:
        self.executed += 1
        return await super().execute(command, places)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def signed(text: str | bytes, **params: Any) -> dict[str, Any]:
    raw = text.encode() if isinstance(text, str) else text
    key = KEYS.ed25519_public.hex()
    return {"pubkey": KEYS.account_id.hex, "pubkey_ed25519": key, "signature": b64(KEYS.sign(raw)), **params}


def by_subaccount(text: str, **params: Any) -> dict[str, Any]:
    return signed("", **params) | {
        "signature": b64(TOKEN_KEY.sign(text.encode())),
        "subaccount": TOKEN.hex(),
        "subaccount_sig": b64(KEYS.sign(TOKEN)),
    }


STORE = {"pubkey": KEYS.account_id.hex, "timestamp": NOW, "ttl": 86_400_000, "data": b64(b"hello")}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("store", STORE),
    ("store", STORE | signed(f"store2{NOW}", namespace=2, sig_timestamp=NOW)),
    ("store", STORE | by_subaccount(f"store-21{NOW}", namespace=-21)),
    ("store", {"pubKey": KEYS.account_id.hex, "timestamp": str(NOW), "expiry": str(NOW + 100_000), "data": ""}),
    ("retrieve", signed(f"retrieve{NOW}", timestamp=NOW, last_hash=HASH, max_count=5, max_size=-2)),
    ("retrieve", by_subaccount(f"retrieve-11{NOW}", namespace=-11, timestamp=NOW, lastHash="", maxSize=1000)),
    ("retrieve", {"pubkey": KEYS.account_id.hex, "namespace": -10}),
    ("delete", signed(f"delete{HASH}", messages=[HASH], required=True)),
    ("delete_all", signed(f"delete_allall{NOW}", namespace="all", timestamp=NOW)),
    ("delete_before", signed(f"delete_before{NOW}", before=NOW)),
    ("expire", signed(f"expireshorten{NOW}{HASH}", messages=HASH, expiry=NOW, shorten=True)),
    ("expire", signed(f"expire{NOW}{NOW}{HASH}{HASH}", messages=[HASH, HASH], expiry=[NOW, NOW], extends=False)),
    ("expire_all", signed(f"expire_all5{NOW}", namespace=5, expiry=NOW)),
    ("get_expiries", signed(f"get_expiries{NOW}{HASH}", messages=[HASH], timestamp=NOW)),
    ("revoke_subaccount", signed(b"revoke_subaccount%d" % NOW + bytes(36), revoke=b64(bytes(36)), timestamp=NOW)),
    ("unrevoke_subaccount", signed(b"unrevoke_subaccount%d" % NOW + TOKEN, unrevoke=[TOKEN.hex()], timestamp=NOW)),
    ("revoked_subaccounts", signed(f"revoked_subaccounts{NOW}", timestamp=NOW)),
    ("info", {}),
    ("get_swarm", {"pubkey": KEYS.account_id.hex}),
    ("get_snodes_for_pubkey", {"pubkey": KEYS.account_id.hex}),
    ("active_nodes_bin", {}),
    ("oxend_request", {"endpoint": "ons_resolve", "params": {"type": 0, "name_hash": ""}}),
    (
        "oxend_request",
        {"endpoint": "get_service_nodes", "params": {"active_only": True, "limit": 2, "fields": {"public_ip": True}}},
    ),
    ("oxend_request", {"endpoint": "get_service_nodes", "params": {"fields": ["all", "-active"], "limit": -1}}),
    ("batch", {"requests": [{"method": "info", "params": {}}, {"method": "store", "params": STORE}]}),
    ("sequence", {"requests": [{"method": "store", "params": STORE}, {"method": "info", "params": {}}]}),
    (
        "ifelse",
        {
            "if": {"hf_at_least": [19, 6], "v_before": [3, 0, 0], "height_before": 9},
            "then": {"method": "info", "params": {}},
            "else": {"method": "batch", "params": {"requests": []}},
        },
    ),
]
SEEDS = [orjson.dumps({"method": method, "params": params}) for method, params in REQUESTS]
TOKENS = [
    *(orjson.dumps(name) + b":" for name in sorted({name for _, params in REQUESTS for name in params})),
    *(orjson.dumps(method) for method in sorted({method for method, _ in REQUESTS})),
    b'"all"',
    b"-3741",
    b"-32769",
    b"%d" % NOW,
    orjson.dumps(HASH),
]


def test_fuzz_storage_requests(fuzz: Callable[..., None]) -> None:
    quotas = Quotas(namespace_messages=5, account_messages=20)
    mailboxes = CountingMailboxes([SigningKey(bytes([n]) * 32) for n in (1, 2)], lambda: NOW, quotas)
    rpc = StorageRpc(mailboxes, Nodes(), lambda: NOW, rng=Random(1))
    loop = asyncio.new_event_loop()
    calls = 0
    answers: set[str] = set()

    def parse(raw: bytes) -> None:
        nonlocal calls
        calls += 1
        before = mailboxes.executed
        reply = loop.run_until_complete(rpc.handle(1 + calls % 2, raw))
        assert reply.status in STATUSES, reply
        assert rpc.in_flight == 0
        if reply.status in {200, 404, 421}:
            if reply.body.startswith(b"{"):
                assert orjson.loads(reply.body)["hf"] == [19, 6]
            else:
                assert len(reply.body if reply.binary else base64.b64decode(reply.body)) == 3 * 51
            return
        assert mailboxes.executed - before <= (reply.status == 403)
        text = reply.body.decode()
        assert text
        assert not text.startswith("{")
        kind = next((start for start in REPEATED if text.startswith(start)), text)
        answers.add(kind)
        raise Answered(reply.status, kind)

    try:
        for seed in SEEDS:
            with contextlib.suppress(Answered):
                parse(seed)
        assert answers == {"ons_resolve is not available: this network keeps no names"}
        fuzz("storage requests", parse, SEEDS, (Answered,), TOKENS)
    finally:
        print(f"{len(answers)} different refusals")
        loop.close()
    assert mailboxes.executed > len(SEEDS)


EVENTS: list[Event] = [
    Stored(bytes(32), -11, NOW, NOW + 5, None, 2, 7, (7, 2**63)),
    Deleted((DeletedMessage(bytes(32), 3, (1, 2)), DeletedMessage(bytes(32), -5, ()))),
    ExpiryChanged((ChangedMessage(bytes(32), NOW, (5,)),)),
    Revoked((TOKEN,), NOW),
    Unrevoked((TOKEN, bytes(36))),
]


def test_fuzz_mailbox_events(fuzz: Callable[..., None]) -> None:
    body = SealedBody(7, bytes(30))
    seeds = [encode(bytes(16), event, body if isinstance(event, Stored) else None) for event in EVENTS]

    def parse(raw: bytes) -> None:
        recorded = decode(raw)
        assert decode(encode(*recorded)) == recorded

    fuzz("mailbox events", parse, seeds, (UnreadableEvent,))
