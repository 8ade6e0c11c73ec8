"""Requests of each kind, built before any clock starts."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Sequence

import orjson

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.onion.packet import HopKey, to_node
from tests.bench.load import http_request

RPC = "/storage_rpc/v1"
ONION = "/onion_req/v2"
DAY_MS = 86_400_000


def _store_params(data: bytes) -> dict[str, object]:
    # A random key has a valid account id: stores into the public inbox are not signed.
    return {
        "pubkey": "05" + os.urandom(32).hex(),
        "timestamp": int(time.time() * 1000),
        "ttl": 14 * DAY_MS,
        "data": base64.b64encode(data).decode(),
    }


def _rpc(method: str, params: dict[str, object]) -> bytes:
    return orjson.dumps({"method": method, "params": params})


def stores(count: int, size: int = 1024) -> list[bytes]:
    """Stores of random bytes for as many new accounts."""
    return [http_request(RPC, _rpc("store", _store_params(os.urandom(size)))) for _ in range(count)]


def batches(count: int, each: int = 20, size: int = 1024) -> list[bytes]:
    """Batches of stores."""
    return [
        http_request(
            RPC,
            _rpc(
                "batch",
                {"requests": [{"method": "store", "params": _store_params(os.urandom(size))} for _ in range(each)]},
            ),
        )
        for _ in range(count)
    ]


def onion_stores(count: int, path: Sequence[bytes], size: int = 1024) -> list[bytes]:
    """Stores through three nodes, given by their Ed25519 keys; the last is the destination."""
    hops = [HopKey.from_ed25519(key) for key in path]
    return [http_request(ONION, to_node(hops, "store", _store_params(os.urandom(size))).data) for _ in range(count)]


def mailbox_fills(accounts: Sequence[AccountKeys], each: int = 10, size: int = 1024) -> list[bytes]:
    """Stores that give every account some messages."""
    requests = []
    for account in accounts:
        for _ in range(each):
            params = _store_params(os.urandom(size)) | {"pubkey": account.account_id.hex}
            requests.append(http_request(RPC, _rpc("store", params)))
    return requests


def retrieves(count: int, accounts: Sequence[AccountKeys]) -> list[bytes]:
    """Signed retrieves of all that a mailbox holds, over the accounts in turn; good for a minute."""
    now = int(time.time() * 1000)
    ready = []
    for account in accounts:
        signature = base64.b64encode(account.sign(storage_texts.retrieve(0, now))).decode()
        params: dict[str, object] = {
            "pubkey": account.account_id.hex,
            "pubkey_ed25519": account.ed25519_public.hex(),
            "timestamp": now,
            "signature": signature,
        }
        ready.append(http_request(RPC, _rpc("retrieve", params)))
    return [ready[number % len(ready)] for number in range(count)]
