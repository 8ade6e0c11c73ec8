"""What is wrong with a request whatever its method: JSON, fields, types (wire 4.1, 4.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from naisho.protocol.ring import INVALID_SWARM
from services.chassis.packed import Reply
from services.swarm.api.dispatch import RpcSettings

if TYPE_CHECKING:
    from .conftest import Owner, World


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "invalid json"),
        (b"{", "invalid json"),
        (b"\xff\xfe", "invalid json"),
        (b'{"method": "\xed\xa0\x80"}', "invalid json"),
        (b"[" * 100_000, "invalid json"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "invalid json"),
        (b"NaN", "invalid json"),
        (b"7", "invalid json"),
        (b"null", "invalid json"),
        (b'"text"', "invalid json"),
        (b'[{"method":"info","params":{}}]', "invalid json"),
        (b"{}", "invalid json: no `method` field"),
        (b'{"params":{}}', "invalid json: no `method` field"),
        (b'{"method":null,"params":{}}', "invalid json: no `method` field"),
        (b'{"method":7,"params":{}}', "invalid json: no `method` field"),
        (b'{"method":["info"],"params":{}}', "invalid json: no `method` field"),
        (b'{"method":"info"}', "invalid json: no `params` field"),
        (b'{"method":"info","params":null}', "invalid json: no `params` field"),
        (b'{"method":"info","params":[]}', "invalid json: no `params` field"),
        (b'{"method":"info","params":"{}"}', "invalid json: no `params` field"),
        (b'{"method":"no_such","params":{}}', "no method no_such"),
        (b'{"method":"","params":{}}', "no method "),
        (b'{"method":"Info","params":{}}', "no method Info"),
        (b'{"method":"__class__","params":{}}', "no method __class__"),
    ],
)
async def test_requests_of_the_wrong_form(world: World, body: bytes, text: str) -> None:
    assert await world.raw(body) == (400, text)


async def test_an_unknown_methods_name_is_repeated_in_part_only(world: World) -> None:
    status, text = await world.call("x" * 100_000, {})
    assert (status, text) == (400, "no method " + "x" * 64)


async def test_other_members_are_ignored(world: World) -> None:
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "info", "params": {"unknown": 1}})
    assert (await world.raw(body)).status == 200


@pytest.mark.parametrize(
    "value", ["", "05", "05" + "g" * 64, "05" + "a" * 63, "05" + "a" * 65, "05" + " a" * 32, 7, [], {}]
)
@pytest.mark.parametrize("method", ["get_swarm", "get_snodes_for_pubkey", "store", "retrieve", "delete", "delete_all"])
async def test_accounts_of_the_wrong_form(world: World, method: str, value: Any) -> None:
    assert await world.call(method, {"pubkey": value}) == (
        400,
        "invalid request: Pubkey must be 66 hex digits (33 bytes) long",
    )


async def test_an_account_in_upper_case_is_the_same_account(world: World, owner: Owner) -> None:
    params = owner.store_params(b"hello")
    status, body = await world.call("store", params | {"pubkey": owner.hex.upper()})
    assert status == 200
    assert body["hash"] == await owner.store(b"hello")


METHODS_AND_FIELDS = [
    ("store", ["pubkey", "timestamp", "ttl", "data"]),
    ("delete", ["pubkey", "messages", "signature"]),
    ("delete_all", ["pubkey", "timestamp", "signature"]),
    ("delete_before", ["pubkey", "before", "signature"]),
    ("expire", ["pubkey", "messages", "expiry", "signature"]),
    ("expire_all", ["pubkey", "expiry", "signature"]),
    ("get_expiries", ["pubkey", "messages", "timestamp", "signature"]),
    ("revoke_subaccount", ["pubkey", "revoke", "timestamp", "signature"]),
    ("unrevoke_subaccount", ["pubkey", "unrevoke", "timestamp", "signature"]),
    ("revoked_subaccounts", ["pubkey", "timestamp", "signature"]),
    ("get_swarm", ["pubkey"]),
    ("get_snodes_for_pubkey", ["pubkey"]),
    ("oxend_request", ["endpoint"]),
    ("batch", ["requests"]),
    ("sequence", ["requests"]),
    ("ifelse", ["if", "then"]),
]


@pytest.mark.parametrize(
    ("method", "field"), [(method, field) for method, fields in METHODS_AND_FIELDS for field in fields]
)
@pytest.mark.parametrize("absent", ["missing", "null"])
async def test_required_fields(world: World, owner: Owner, method: str, field: str, absent: str) -> None:
    now = world.now
    params: dict[str, Any] = {
        "pubkey": owner.hex,
        "timestamp": now,
        "ttl": 86_400_000,
        "data": "",
        "messages": "A" * 43,
        "signature": "A" * 86,
        "before": now,
        "revoke": "00" * 36,
        "unrevoke": "00" * 36,
        "endpoint": "get_service_nodes",
        "requests": [],
        "if": {"height_at_least": 1},
        "then": {"method": "info", "params": {}},
    }
    if method.startswith("expire"):
        params["expiry"] = now
    if absent == "missing":
        del params[field]
    else:
        params[field] = None
    assert await world.call(method, params) == (400, f"invalid request: Required field '{field}' missing")


@pytest.mark.parametrize(
    ("method", "extra", "names"),
    [
        ("store", {"pubKey": "05" + "00" * 32}, ("pubkey", "pubKey")),
        ("store", {"expiry": 1_700_000_000_000}, ("expiry", "ttl")),
        ("retrieve", {"last_hash": "", "lastHash": ""}, ("last_hash", "lastHash")),
        ("retrieve", {"max_size": -1, "maxSize": -1}, ("max_size", "maxSize")),
        ("expire", {"shorten": True, "extend": True}, ("shorten", "extend")),
        ("expire", {"shorten": True, "extends": True}, ("shorten", "extend")),
        ("expire", {"extend": True, "extends": True}, ("extend", "extends")),
    ],
)
async def test_fields_that_exclude_each_other(
    world: World, owner: Owner, method: str, extra: dict[str, Any], names: tuple[str, str]
) -> None:
    params = owner.store_params(b"hello", messages="A" * 43)
    if method == "expire":
        params["expiry"] = world.now
    if method == "retrieve":
        del params["timestamp"]
    expected = f"invalid request: Cannot specify both '{names[0]}' and '{names[1]}'"
    assert await world.call(method, params | extra) == (400, expected)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("namespace", 32_768, "integer from -32768 to 32767"),
        ("namespace", -32_769, "integer from -32768 to 32767"),
        ("namespace", "0", "integer from -32768 to 32767"),
        ("namespace", "all", "integer from -32768 to 32767"),
        ("namespace", 1.0, "integer from -32768 to 32767"),
        ("namespace", True, "integer from -32768 to 32767"),
        ("timestamp", "17e11", "integer"),
        ("timestamp", "", "integer"),
        ("timestamp", "+1700000000000", "integer"),
        ("timestamp", "\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11", "integer"),
        ("timestamp", 1.7e12, "integer"),
        ("timestamp", True, "integer"),
        ("timestamp", [], "integer"),
        ("timestamp", 2**63, "integer"),
        ("timestamp", "9" * 5_000, "integer"),
        ("ttl", "a day", "integer"),
        ("ttl", 1e300, "integer"),
        ("ttl", {}, "integer"),
        ("sig_timestamp", "1700000000000", "integer"),
        ("data", 7, "string"),
        ("data", ["AAAA"], "string"),
        ("data", "AAA*", "base64"),
        ("data", "A", "base64"),
        ("data", "AA=A", "base64"),
        ("data", "AA\nAA", "base64"),
        ("data", "ÄAAA", "base64"),
        ("data", "AA-_", "base64"),
        ("pubkey_ed25519", "00" * 31, "64 hex digits (32 bytes)"),
        ("pubkey_ed25519", "zz" * 32, "64 hex digits (32 bytes)"),
        ("pubkey_ed25519", 5, "64 hex digits (32 bytes)"),
    ],
)
async def test_values_of_the_wrong_type(world: World, owner: Owner, field: str, value: Any, expected: str) -> None:
    params = owner.store_params(b"hello") | {field: value}
    assert await world.call("store", params) == (
        400,
        f"invalid request: Invalid value given for '{field}': expected {expected}",
    )


@pytest.mark.parametrize("field", ["timestamp", "expiry", "sig_timestamp"])
@pytest.mark.parametrize("value", [999_999_999, 0, -1])
async def test_times_in_seconds(world: World, owner: Owner, field: str, value: int) -> None:
    params = owner.store_params(b"hello")
    if field == "expiry":
        del params["ttl"]
    assert await world.call("store", params | {field: value}) == (
        400,
        f"invalid request: Invalid timestamp for '{field}': timestamp must be in milliseconds",
    )


@pytest.mark.parametrize(
    "signature", ["", "A" * 85, "A" * 87, "A" * 86 + "=A", "A" * 88, "*" * 86, 7, ["A" * 86], "A" * 100_000]
)
async def test_signatures_of_the_wrong_form(world: World, owner: Owner, signature: Any) -> None:
    text = "invalid request: invalid signature: expected base64 encoded Ed25519 signature"
    for extra in (
        {"signature": signature},
        {"signature": "A" * 86, "subaccount": "00" * 36, "subaccount_sig": signature},
    ):
        params = {"pubkey": owner.hex, "timestamp": world.now, **extra}
        assert await world.call("retrieve", params) == (400, text)
    assert await world.call(
        "revoked_subaccounts", {"pubkey": owner.hex, "timestamp": world.now, "signature": signature}
    ) == (400, text)


async def test_a_signature_may_come_with_or_without_padding(world: World, owner: Owner) -> None:
    params = owner.signed(f"retrieve{world.now}", timestamp=world.now)
    assert len(params["signature"]) == 88
    assert (await world.call("retrieve", params)).status == 200
    params["signature"] = params["signature"].rstrip("=")
    assert (await world.call("retrieve", params)).status == 200


async def test_an_ed25519_key_goes_with_ordinary_accounts_alone(world: World) -> None:
    params = {"pubkey": "03" + "00" * 32, "pubkey_ed25519": "00" * 32, "timestamp": world.now, "signature": "A" * 86}
    text = "invalid request: pubkey_ed25519 is only permitted for 05[...] pubkeys"
    for method in ("retrieve", "store", "revoked_subaccounts"):
        assert await world.call(method, params | {"ttl": 100_000, "data": ""}) == (400, text)


@pytest.mark.parametrize("messages", [[], ["A" * 43] * 5_001])
async def test_lists_of_the_wrong_length(world: World, owner: Owner, messages: list[str]) -> None:
    expected = "invalid request: Invalid value given for 'messages': expected array of 1 to 5000 values"
    assert await world.call("delete", {"pubkey": owner.hex, "messages": messages}) == (400, expected)


@pytest.mark.parametrize(
    "value", ["A" * 42, "A" * 44, "A" * 42 + "*", "A" * 42 + "B", 7, {}, ["A" * 43, None], "é" * 43]
)
async def test_hashes_of_the_wrong_form(world: World, owner: Owner, value: Any) -> None:
    expected = "invalid request: Invalid value given for 'messages': expected message hashes of 43 base64 characters"
    assert await world.call("delete", {"pubkey": owner.hex, "messages": value}) == (400, expected)


@pytest.mark.parametrize("value", ["00" * 35, "00" * 37, "zz" * 36, "A" * 47, "00000001" + "00" * 32, 7, [[]]])
async def test_tokens_of_the_wrong_form(world: World, owner: Owner, value: Any) -> None:
    expected = "subaccount token of 72 hex digits or 48 base64 characters"
    assert await world.call("revoke_subaccount", {"pubkey": owner.hex, "revoke": value}) == (
        400,
        f"invalid request: Invalid value given for 'revoke': expected {expected}",
    )
    params = {"pubkey": owner.hex, "signature": "A" * 86, "subaccount": value, "subaccount_sig": "A" * 86}
    assert await world.call("retrieve", params) == (
        400,
        f"invalid request: Invalid value given for 'subaccount': expected {expected}",
    )


@pytest.mark.parametrize("missing", ["subaccount", "subaccount_sig"])
async def test_a_subaccount_comes_with_its_signature(world: World, owner: Owner, missing: str) -> None:
    params = {"pubkey": owner.hex, "signature": "A" * 86, "subaccount": "00" * 36, "subaccount_sig": "A" * 86}
    del params[missing]
    assert await world.call("retrieve", params) == (400, f"invalid request: Required field '{missing}' missing")


async def test_overload_is_answered_before_any_work(make_world: type[World]) -> None:
    world = make_world(settings=RpcSettings(max_in_flight=2))
    gate = asyncio.Event()

    async def slow(*_: Any) -> Any:
        await gate.wait()
        raise RuntimeError("never answered well")

    world.mailboxes.expiries = slow  # type: ignore[method-assign,assignment]  # a stand-in that waits
    waiting = asyncio.gather(*(_get_expiries(world) for _ in range(2)))
    await asyncio.sleep(0)
    assert world.rpc.in_flight == 2
    assert await world.rpc.handle(1, b"not even json") == Reply(503, b"Server busy, try again later")
    gate.set()
    assert await waiting == [(500, "request failed")] * 2
    assert world.rpc.in_flight == 0
    assert (await world.call("info", {})).status == 200


async def _get_expiries(world: World) -> Any:
    from .conftest import Owner  # noqa: PLC0415 - the module is not importable by name outside a test run

    text = f"get_expiries{world.now}{'A' * 43}"
    return await world.call("get_expiries", Owner(world).signed(text, timestamp=world.now, messages="A" * 43))


async def test_what_breaks_is_answered_and_logged_without_a_word_of_the_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("a secret of the request")

    world.mailboxes.expiries = broken  # type: ignore[method-assign,assignment]  # a stand-in that fails
    assert await _get_expiries(world) == (500, "request failed")
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_node_that_is_not_ready_says_why(world: World) -> None:
    world.unready += ["catching up", "no directory"]
    assert await world.call("info", {}) == (503, "Service node is not ready: catching up, no directory\n")


async def test_a_node_without_a_swarm_sends_everybody_to_the_right_one(world: World, owner: Owner) -> None:
    home = world.nodes.own_swarm
    world.nodes.own_swarm = INVALID_SWARM
    status, body = await world.call("store", owner.store_params(b"hello"))
    assert status == 421
    assert body["swarm"] == f"{home:x}"
