"""``batch``, ``sequence``, ``ifelse`` (wire 4.11) and what nodes tell of the network (wire 2, 4.10)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol import node_list
from naisho.protocol.ring import INVALID_SWARM, swarm_id
from services.swarm.adapters.memory_mailboxes import MemoryMailboxes
from services.swarm.api.compound import COMPOUND
from services.swarm.api.dispatch import StorageRpc
from services.swarm.domain.admission import Places
from services.swarm.domain.ports import Refused

if TYPE_CHECKING:
    from .conftest import Owner, World

INFO = {"method": "info", "params": {}}


async def test_a_batch_answers_in_order_with_errors_as_text(world: World, owner: Owner) -> None:
    requests = [
        {"method": "store", "params": owner.store_params(b"hello")},
        {"method": "retrieve", "params": {"pubkey": owner.hex}},
        {"method": "no_such", "params": {}},
        {"method": "get_swarm", "params": {"pubkey": "05"}},
        {"method": "active_nodes_bin", "params": {}},
        INFO,
    ]
    status, body = await world.call("batch", {"requests": requests})
    assert status == 200
    assert body.keys() == {"results", "t", "hf"}
    results = body["results"]
    assert [result["code"] for result in results] == [200, 401, 400, 400, 200, 200]
    assert results[0]["body"]["hash"]
    assert results[1]["body"] == "retrieve: request signature required"
    assert results[2]["body"] == "no method no_such"
    assert results[3]["body"] == "invalid request: Pubkey must be 66 hex digits (33 bytes) long"
    assert len(base64.b64decode(results[4]["body"])) == 3 * 51
    assert results[5]["body"]["timestamp"] == world.now
    assert await owner.listed() == [b"hello"]


async def test_a_wrong_swarm_within_a_batch_is_told_with_its_swarm(world: World, owner: Owner) -> None:
    world.add_other_swarm(owner.keys.account_id.raw)
    _, body = await world.call("batch", {"requests": [INFO, {"method": "retrieve", "params": {"pubkey": owner.hex}}]})
    assert [result["code"] for result in body["results"]] == [200, 421]
    assert len(body["results"][1]["body"]["snodes"]) == 3


async def test_a_batch_runs_all_at_once_and_a_sequence_does_not(world: World, owner: Owner) -> None:
    at_once = 0
    most = 0

    async def slow(*_: Any) -> dict[bytes, int]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _turn in range(3):
            await asyncio.sleep(0)
        at_once -= 1
        return {}

    world.mailboxes.expiries = slow  # type: ignore[method-assign,assignment]  # counts
    text = f"get_expiries{world.now}{'A' * 43}"
    request = {"method": "get_expiries", "params": owner.signed(text, timestamp=world.now, messages="A" * 43)}
    for method, expected in (("sequence", 1), ("batch", 20)):
        most = 0
        status, body = await world.call(method, {"requests": [request] * 20})
        assert (status, len(body["results"]), most) == (200, 20, expected)


class CrowdedMailboxes(MemoryMailboxes):
    """Mailboxes with little room; they count what is let in together, and what was let in and not begun."""

    room = 0
    asked: list[int]
    left = 0

    @asynccontextmanager
    async def admitted(self, commands: int) -> AsyncIterator[Places]:
        self.asked.append(commands)
        if commands > self.room:
            raise Refused(503, "Server busy, try again later")
        places = Places(commands)
        yield places
        self.left = places.left


def crowded(make_world: type[World], room: int) -> tuple[World, CrowdedMailboxes]:
    world = make_world()
    mailboxes = CrowdedMailboxes(world.members, lambda: world.now)
    mailboxes.room, mailboxes.asked = room, []
    world.rpc = StorageRpc(mailboxes, world.nodes, lambda: world.now)
    return world, mailboxes


async def test_a_batch_is_let_in_whole_or_not_at_all(make_world: type[World], make_owner: type[Owner]) -> None:
    world, mailboxes = crowded(make_world, room=2)
    owner = make_owner(world)
    stores = [{"method": "store", "params": owner.store_params(b"%d" % number)} for number in range(3)]
    answer = await world.call("batch", {"requests": [INFO, *stores]})
    assert answer == (503, "Server busy, try again later")
    assert mailboxes.asked == [3], "what only reads needs no place"
    status, body = await world.call("batch", {"requests": [stores[0], INFO, stores[1]]})
    assert (status, [result["code"] for result in body["results"]]) == (200, [200] * 3)
    assert (mailboxes.asked, mailboxes.left) == ([3, 2], 0), "each store took a place of its batch"
    assert await owner.listed() == [b"0", b"1"]
    assert mailboxes.asked == [3, 2]


async def test_a_sequence_needs_room_for_one_at_a_time(make_world: type[World], make_owner: type[Owner]) -> None:
    world, mailboxes = crowded(make_world, room=0)
    owner = make_owner(world)
    stores = [{"method": "store", "params": owner.store_params(b"%d" % number)} for number in range(3)]
    status, body = await world.call("sequence", {"requests": stores})
    assert (status, [result["code"] for result in body["results"]]) == (200, [200] * 3)
    assert mailboxes.asked == []


async def test_a_sequence_stops_behind_the_first_failure(world: World, owner: Owner) -> None:
    failing = {"method": "no_such", "params": {}}
    store = {"method": "store", "params": owner.store_params(b"never")}
    status, body = await world.call("sequence", {"requests": [INFO, failing, store]})
    assert status == 200
    assert [result["code"] for result in body["results"]] == [200, 400]
    assert await owner.listed() == []


@pytest.mark.parametrize("method", ["batch", "sequence"])
@pytest.mark.parametrize(
    "wrong",
    [
        "info",
        7,
        None,
        [],
        {},
        {"method": "info"},
        {"params": {}},
        {"method": 7, "params": {}},
        {"method": "info", "params": []},
        {"method": "info", "params": None},
    ],
)
async def test_batches_with_something_else_run_nothing(world: World, owner: Owner, method: str, wrong: Any) -> None:
    store = {"method": "store", "params": owner.store_params(b"never")}
    assert await world.call(method, {"requests": [store, wrong]}) == (
        400,
        "invalid request: Invalid value given for 'requests': expected object with 'method' and 'params'",
    )
    assert await owner.listed() == []


@pytest.mark.parametrize("method", ["batch", "sequence"])
@pytest.mark.parametrize("count", [0, 21, 1000])
async def test_batches_of_the_wrong_length_run_nothing(world: World, owner: Owner, method: str, count: int) -> None:
    store = {"method": "store", "params": owner.store_params(b"never")}
    assert await world.call(method, {"requests": [store] * count}) == (
        400,
        "invalid request: Invalid value given for 'requests': expected array of 1 to 20 requests",
    )
    assert await owner.listed() == []


@pytest.mark.parametrize("method", ["batch", "sequence"])
async def test_twenty_requests_are_allowed_and_one_needs_no_array(world: World, method: str) -> None:
    _, body = await world.call(method, {"requests": [INFO] * 20})
    assert len(body["results"]) == 20
    _, body = await world.call(method, {"requests": INFO})
    assert len(body["results"]) == 1


@pytest.mark.parametrize("outer", ["batch", "sequence"])
@pytest.mark.parametrize("inner", sorted(COMPOUND))
async def test_nested_batches_run_nothing(world: World, owner: Owner, outer: str, inner: str) -> None:
    store = {"method": "store", "params": owner.store_params(b"never")}
    nested = {"method": inner, "params": {"requests": [INFO]}}
    assert await world.call(outer, {"requests": [store, nested]}) == (
        400,
        f"invalid request: '{inner}' is not allowed inside another request",
    )
    assert await owner.listed() == []


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"hf_at_least": [19, 6]}, True),
        ({"hf_at_least": [19, 7]}, False),
        ({"hf_at_least": [18, 9]}, True),
        ({"hf_before": [19, 6]}, False),
        ({"hf_before": [20, 0]}, True),
        ({"v_at_least": [2, 11, 0]}, True),
        ({"v_at_least": [2, 11, 1]}, False),
        ({"v_before": [3, 0, 0]}, True),
        ({"v_before": [2, 11, 0]}, False),
        ({"height_at_least": 7}, True),
        ({"height_at_least": 8}, False),
        ({"height_before": 8}, True),
        ({"height_before": 7}, False),
        ({"hf_at_least": [19, 0], "v_before": [1, 0, 0]}, False),
        ({"hf_at_least": [19, 0], "v_at_least": [1, 0, 0], "height_before": 100}, True),
    ],
)
async def test_ifelse(world: World, conditions: dict[str, Any], holds: bool) -> None:  # noqa: FBT001
    no = {"method": "no_such", "params": {}}
    status, body = await world.call("ifelse", {"if": conditions, "then": INFO, "else": no})
    assert status == 200
    assert (body["hf"], body["v"], body["height"], body["condition"]) == ([19, 6], [2, 11, 0], 7, holds)
    assert body["result"]["code"] == (200 if holds else 400)
    _, body = await world.call("ifelse", {"if": conditions, "then": INFO})
    assert ("result" in body) == holds
    batch = {"method": "batch", "params": {"requests": [INFO]}}
    _, body = await world.call("ifelse", {"if": conditions, "then": batch, "else": batch})
    assert body["result"]["body"]["results"][0]["code"] == 200


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"if": {}}, "Invalid value given for 'if': expected at least one of hf_, v_, height_ with at_least or before"),
        ({"if": []}, "Invalid value given for 'if': expected object of conditions"),
        ({"if": {"hf_at_least": [19]}}, "Invalid value given for 'hf_at_least': expected array of 2 integers"),
        ({"if": {"hf_at_least": 19}}, "Invalid value given for 'hf_at_least': expected array of 2 integers"),
        ({"if": {"v_before": [1, 2, "3"]}}, "Invalid value given for 'v_before': expected array of 3 integers"),
        ({"if": {"height_before": "7"}}, "Invalid value given for 'height_before': expected integer"),
        ({"then": None}, "Required field 'then' missing"),
        ({"then": []}, "Invalid value given for 'then': expected object with 'method' and 'params'"),
        ({"else": {"method": "x"}}, "Invalid value given for 'else': expected object with 'method' and 'params'"),
        (
            {"then": {"method": "ifelse", "params": {}}},
            "'ifelse' is not allowed inside another request",
        ),
    ],
)
async def test_ifelse_of_the_wrong_form(world: World, params: dict[str, Any], text: str) -> None:
    given = {"if": {"height_at_least": 1}, "then": INFO, **params}
    assert await world.call("ifelse", given) == (400, f"invalid request: {text}")


async def test_info(world: World) -> None:
    assert await world.call("info", {}) == (
        200,
        {"version": [2, 11, 0], "timestamp": world.now, "t": world.now, "hf": [19, 6]},
    )


@pytest.mark.parametrize("method", ["get_swarm", "get_snodes_for_pubkey"])
async def test_get_swarm(world: World, owner: Owner, method: str) -> None:
    world.nodes.listed = world.nodes.listed[:1]
    status, body = await world.call(method, {"pubkey": owner.hex})
    assert status == 200
    assert body == {
        "snodes": [
            {
                "address": "yryonyebyryonyebyryonyebyryonyebyryonyebyryonyebyryo.snode",
                "pubkey_legacy": "01" * 32,
                "pubkey_x25519": "65" * 32,
                "pubkey_ed25519": "01" * 32,
                "port": "22021",
                "port_https": 22021,
                "port_omq": 22020,
                "port_quic": 22020,
                "ip": "10.0.0.1",
            }
        ],
        "swarm": f"{swarm_id(64):x}",
        "t": world.now,
        "hf": [19, 6],
    }


async def test_a_network_without_swarms(world: World, owner: Owner) -> None:
    world.nodes.listed = []
    _, body = await world.call("get_swarm", {"pubkey": owner.hex})
    assert (body["snodes"], body["swarm"]) == ([], f"{INVALID_SWARM:x}")


async def test_active_nodes_bin_is_raw_directly_and_text_in_an_onion(world: World) -> None:
    status, raw = await world.call("active_nodes_bin", {})
    assert status == 200
    records = node_list.decode(raw)
    assert [(r.ed25519, r.ip, r.https_port, r.quic_port, r.version) for r in records] == [
        (node.ed25519, node.ip, 22021, 22020, (2, 11, 0)) for node in world.nodes.listed
    ]
    reply = await world.rpc.handle(2, b'{"method":"active_nodes_bin","params":{}}')
    assert not reply.binary
    assert base64.b64decode(reply.body) == raw


async def test_oxend_get_service_nodes(world: World) -> None:
    fields = dict.fromkeys(("public_ip", "storage_port", "pubkey_x25519", "pubkey_ed25519"), True)
    params = {"endpoint": "get_service_nodes", "params": {"active_only": True, "fields": fields}}
    status, body = await world.call("oxend_request", params)
    assert status == 200
    assert body.keys() == {"result", "t", "hf"}
    states = body["result"]["service_node_states"]
    assert states == [
        {
            "public_ip": node.ip,
            "storage_port": 22021,
            "pubkey_x25519": node.x25519.hex(),
            "pubkey_ed25519": node.ed25519.hex(),
        }
        for node in world.nodes.listed
    ]
    assert (await world.call("oxend_request", {"endpoint": "get_service_nodes"})).status == 200


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"endpoint": "ons_resolve"}, "ons_resolve is not available: this network keeps no names"),
        ({"endpoint": "get_info"}, "no oxend endpoint get_info"),
        ({"endpoint": "x" * 9999}, "no oxend endpoint " + "x" * 64),
        ({"endpoint": 7}, "invalid request: Invalid value given for 'endpoint': expected string"),
        (
            {"endpoint": "get_service_nodes", "params": [1]},
            "invalid request: Invalid value given for 'params': expected object",
        ),
        (
            {"endpoint": "get_service_nodes", "params": {"limit": "1"}},
            "Invalid value given for 'limit': expected integer",
        ),
    ],
)
async def test_oxend_requests_that_nobody_answers(world: World, params: dict[str, Any], text: str) -> None:
    assert await world.call("oxend_request", params) == (400, text)
