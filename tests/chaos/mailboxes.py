"""Requests straight to nodes, and what a mailbox answers."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.signing import verify
from tests.chaos.accidents import Place
from tests.networks import anonymous_tls

RPC = "/storage_rpc/v1"
PATIENCE_S = 12.0


class Listed(NamedTuple):
    """One message as a node lists it."""

    hash: str
    expiry_ms: int
    data: str


def http_client() -> httpx.AsyncClient:
    """Return a client for many requests to all nodes."""
    return httpx.AsyncClient(
        verify=anonymous_tls(),
        timeout=PATIENCE_S,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        trust_env=False,
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def signed(keys: AccountKeys, text: bytes) -> dict[str, str]:
    """Return the members that make a request the account's own."""
    return {
        "pubkey": keys.account_id.hex,
        "pubkey_ed25519": keys.ed25519_public.hex(),
        "signature": b64encode(keys.sign(text)).decode(),
    }


async def ask(http: httpx.AsyncClient, place: Place, method: str, params: Mapping[str, Any]) -> httpx.Response:
    """Call one method of one node."""
    return await http.post(place.url + RPC, json={"method": method, "params": params})


async def listing(http: httpx.AsyncClient, place: Place, keys: AccountKeys, namespace: int = 0) -> list[Listed]:
    """Return everything that one node has of a namespace, page by page, in its order.

    Raises:
        httpx.HTTPError: the node does not answer, or refuses.
    """
    found: list[Listed] = []
    more = True
    while more:
        now = now_ms()
        params = signed(keys, storage_texts.retrieve(namespace, now)) | {
            "namespace": namespace,
            "timestamp": now,
            "max_count": 100,
        }
        if found:
            params["last_hash"] = found[-1].hash
        answer = (await ask(http, place, "retrieve", params)).raise_for_status().json()
        found += [Listed(m["hash"], m["expiration"], m["data"]) for m in answer["messages"]]
        more = answer["more"]
    return found


async def missing(http: httpx.AsyncClient, place: Place, keys: AccountKeys, hashes: Sequence[str]) -> set[str]:
    """Return which messages one node does not have.

    Raises:
        httpx.HTTPError: the node does not answer, or refuses.
    """
    there: set[str] = set()
    for start in range(0, len(hashes), 1000):
        now, some = now_ms(), hashes[start : start + 1000]
        params = signed(keys, storage_texts.get_expiries(now, some)) | {"messages": some, "timestamp": now}
        there.update((await ask(http, place, "get_expiries", params)).raise_for_status().json()["expiries"])
    return {*hashes} - there


def check_results(
    answer: Mapping[str, Any], places: Sequence[Place], text: Callable[[Mapping[str, Any]], bytes]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Verify what members signed; return the results of those that took part, by their key.

    Args:
        answer: to a method that goes to the whole swarm.
        places: all members.
        text: says what a result's signature covers.
    """
    keys = {place.key.hex(): place.key for place in places}
    assert answer["swarm"].keys() <= keys.keys()
    took_part = []
    for name, result in answer["swarm"].items():
        if result.get("failed"):
            assert "signature" not in result
            continue
        signature = b64decode(result["signature"])
        assert verify(keys[name], text(result), signature), "a receipt does not verify"
        took_part.append((name, result))
    return took_part
