"""The public routes of a node and of a seed, byte-exact (wire 2.1, 4.1)."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from naisho.protocol.directory.model import DIRECTORY_PATH
from naisho.protocol.onion.packet import to_node
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_DIRECT
from services.chassis.packed import Reply
from services.chassis.settings import Address
from services.onion.api.seed import bucket_of
from services.onion.settings import RateSettings

RPC = b'{"method":"info","params":{}}'


async def node_with(lab: Any, *, publish: bool = True, **settings: Any) -> Any:
    (node,) = await lab.add(1, **settings)
    if publish:
        await lab.publish()
    return node


async def test_storage_requests_go_to_the_mailboxes(lab: Any, connect: Any) -> None:
    node = await node_with(lab)
    client = await connect(node.service.https_port)
    answer = await client.ask("POST", "/storage_rpc/v1", RPC)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert node.mailbox.calls == [(MAILBOX_CALL_DIRECT, RPC)]


@pytest.mark.parametrize(
    ("reply", "content_type"),
    [
        (Reply(200, b"\x00\x01", binary=True), "application/octet-stream"),
        (Reply(421, b'{"snodes":[]}'), "application/json"),
        (Reply(406, b"Timestamp error: check your clock"), "text/plain"),
        (Reply(400, b"no method x"), "text/plain"),
    ],
)
async def test_a_direct_answer_keeps_its_status_and_kind(
    lab: Any, connect: Any, reply: Reply, content_type: str
) -> None:
    node = await node_with(lab)

    async def answer_so(_call: int, _body: bytes) -> Reply:
        return reply

    node.mailbox.answer = answer_so
    answer = await (await connect(node.service.https_port)).ask("POST", "/storage_rpc/v1", RPC)
    assert (answer.status, answer.headers["content-type"], answer.body) == (reply.status, content_type, reply.body)


async def test_mailboxes_that_break(lab: Any, connect: Any) -> None:
    node = await node_with(lab)

    async def break_down(_call: int, _body: bytes) -> Reply:
        raise RuntimeError

    node.mailbox.answer = break_down
    answer = await (await connect(node.service.https_port)).ask("POST", "/storage_rpc/v1", RPC)
    assert (answer.status, answer.body) == (500, b"request failed")


async def test_ping_and_stats_are_answered_even_without_a_directory(lab: Any, connect: Any) -> None:
    node = await node_with(lab, publish=False)
    client = await connect(node.service.https_port)
    ping = await client.ask("POST", "/ping_test/v1")
    assert (ping.status, ping.headers["x-oxen-snode-pubkey"]) == (200, base64.b64encode(node.key).decode())
    stats = await client.ask("GET", "/get_stats/v1")
    assert (stats.headers["content-type"], orjson.loads(stats.body)) == ("application/json", {"version": "2.11.0"})


async def test_not_ready(lab: Any, connect: Any) -> None:
    node = await node_with(lab, publish=False)
    client = await connect(node.service.https_port)
    answer = await client.ask("POST", "/storage_rpc/v1", RPC)
    reasons = b"no directory of the network yet"
    assert (answer.status, answer.body) == (503, b"Service node is not ready: " + reasons + b"\n")
    onion = await client.ask("POST", "/onion_req/v2", b"whatever")
    assert (onion.status, onion.body) == (503, b"Snode not ready: " + node.key.hex().encode())
    node.mailbox.available = False
    answer = await client.ask("POST", "/storage_rpc/v1", RPC)
    assert answer.body == b"Service node is not ready: " + reasons + b", its mailboxes are away\n"
    await lab.publish()
    node.mailbox.available = True
    assert (await client.ask("POST", "/storage_rpc/v1", RPC)).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/storage_rpc/v1"),
        ("POST", "/storage_rpc/v2?x=1"),
        ("POST", "/onion_req/v2/"),
        ("GET", "/ping_test/v1"),
        ("DELETE", "/json_rpc"),
        ("OPTIONS", "*"),
    ],
)
async def test_anything_else_is_not_found(lab: Any, connect: Any, method: str, target: str) -> None:
    node = await node_with(lab)
    answer = await (await connect(node.service.https_port)).ask(method, target)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain")
    assert answer.body == f"{method} {target} Not Found".encode()


async def test_long_polls_are_gone(lab: Any, connect: Any) -> None:
    node = await node_with(lab)
    answer = await (await connect(node.service.https_port)).ask("POST", "/storage_rpc/v1", RPC, X_Loki_Long_Poll="1")
    assert answer.status == 410
    assert not node.mailbox.calls


@pytest.mark.parametrize("target", ["/storage_rpc/v1", "/onion_req/v2"])
async def test_ten_mebibytes_are_the_limit(lab: Any, connect: Any, target: str) -> None:
    node = await node_with(lab)
    client = await connect(node.service.https_port)
    answer = await client.ask("POST", target, b"x" * (10 * 2**20))
    assert answer.status == (200 if target.startswith("/storage") else 400)
    answer = await client.ask("POST", target, b"x" * (10 * 2**20 + 1))
    assert (answer.status, answer.body) == (413, b"Request body too large")


async def test_one_address_may_ask_for_storage_so_often(lab: Any, connect: Any) -> None:
    node = await node_with(lab, rate=RateSettings(burst=5, per_second=0.001))
    clients = [await connect(node.service.https_port) for _ in range(2)]
    answers = [await clients[i % 2].ask("POST", "/storage_rpc/v1", RPC) for i in range(8)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    assert answers[-1].body == b"Too Many Requests"
    assert len(node.mailbox.calls) == 5
    for _ in range(10):
        assert (await clients[0].ask("POST", "/ping_test/v1")).status == 200
        assert (await clients[0].ask("POST", "/onion_req/v2", b"")).status == 400


async def test_one_address_may_ask_for_the_node_list_so_often(lab: Any, connect: Any) -> None:
    node = await node_with(lab, rate=RateSettings(burst=4, per_second=0.001), seed=Address("127.0.0.1", 0))
    over_tls, plain = await connect(node.service.https_port), await connect(node.service.seed_port, tls=False)
    answers = [await client.ask("POST", "/json_rpc", b"{}") for client in (over_tls, plain) * 2]
    assert [answer.status for answer in answers] == [200] * 4
    assert (await plain.ask("POST", "/json_rpc", b"{}")).status == 429
    assert (await over_tls.ask("GET", DIRECTORY_PATH)).status == 429


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002/64"),
        ("2001:db8:1:2::1", "20010db800010002/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
    ],
)
def test_what_an_address_is_counted_as(address: str, counted_as: str) -> None:
    assert bucket_of(address) == counted_as


# The seed.

DESKTOP = {
    "jsonrpc": "2.0",
    "method": "get_n_service_nodes",
    "params": {
        "active_only": True,
        "fields": {"public_ip": True, "storage_port": True, "pubkey_x25519": True, "pubkey_ed25519": True}
        | {"requested_unlock_height": True, "height": True},
    },
}
ANDROID = {
    "method": "get_n_service_nodes",
    "params": {"active_only": True, "fields": ["public_ip", "storage_port", "pubkey_x25519", "pubkey_ed25519"]},
}


@pytest.mark.parametrize("plain", [False, True], ids=["https", "http"])
@pytest.mark.parametrize("call", [DESKTOP, ANDROID], ids=["desktop", "android"])
async def test_the_node_list_as_clients_ask_for_it(
    lab: Any, connect: Any, call: dict[str, Any], *, plain: bool
) -> None:
    nodes = await lab.add(3, seed=Address("127.0.0.1", 0))
    await lab.publish()
    service = nodes[0].service
    client = await connect(service.seed_port if plain else service.https_port, tls=not plain)
    answer = await client.ask("POST", "/json_rpc", orjson.dumps(call | {"id": "0"}))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    reply = orjson.loads(answer.body)
    assert (reply["jsonrpc"], reply["id"]) == ("2.0", "0")
    assert (reply["result"]["status"], reply["result"]["height"]) == ("OK", 1)
    states = {state["pubkey_ed25519"]: state for state in reply["result"]["service_node_states"]}
    assert set(states) == {node.key.hex() for node in nodes}
    for node in nodes:
        state = states[node.key.hex()]
        assert state["public_ip"] == "127.0.0.1"
        assert state["storage_port"] == node.service.https_port
        assert state["pubkey_x25519"] == node.hop_key.x25519.hex()
    assert set(states[nodes[0].key.hex()]) == set(call["params"]["fields"]) - {"height"}


@pytest.mark.parametrize("method", ["get_service_nodes", "get_all_service_nodes"])
async def test_the_other_names(lab: Any, connect: Any, method: str) -> None:
    node = await node_with(lab)
    client = await connect(node.service.https_port)
    reply = orjson.loads((await client.ask("POST", "/json_rpc", orjson.dumps({"method": method}))).body)
    assert len(reply["result"]["service_node_states"]) == 1
    assert reply["id"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"{}", -32601),
        (b'{"method":["get_service_nodes"]}', -32601),
        (b'{"method":"flush"}', -32601),
        (b'{"method":"get_service_nodes","params":[1]}', -32602),
        (b'{"method":"get_service_nodes","params":{"limit":"all"}}', -32602),
    ],
)
async def test_calls_that_make_no_sense(lab: Any, connect: Any, body: bytes, code: int) -> None:
    node = await node_with(lab)
    answer = await (await connect(node.service.https_port)).ask("POST", "/json_rpc", body)
    assert answer.status == 200
    assert orjson.loads(answer.body)["error"]["code"] == code


async def test_a_seed_without_a_directory(lab: Any, connect: Any) -> None:
    node = await node_with(lab, publish=False)
    answer = await (await connect(node.service.https_port)).ask("POST", "/json_rpc", orjson.dumps(DESKTOP))
    assert "no directory" in orjson.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("plain", [False, True], ids=["https", "http"])
async def test_the_signed_directory_is_handed_out_as_it_came(lab: Any, connect: Any, *, plain: bool) -> None:
    node = await node_with(lab, publish=False, seed=Address("127.0.0.1", 0))
    client = await connect(node.service.seed_port if plain else node.service.https_port, tls=not plain)
    assert (await client.ask("GET", DIRECTORY_PATH)).status == 503
    directory = await lab.publish()
    answer = await client.ask("GET", DIRECTORY_PATH)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.body == directory.signed


async def test_the_plain_address_serves_nothing_else(lab: Any, connect: Any) -> None:
    node = await node_with(lab, seed=Address("127.0.0.1", 0))
    client = await connect(node.service.seed_port, tls=False)
    for target in ("/storage_rpc/v1", "/onion_req/v2", "/ping_test/v1"):
        answer = await client.ask("POST", target, RPC)
        assert (answer.status, answer.body) == (404, f"POST {target} Not Found".encode())
    assert (await client.ask("POST", "/json_rpc", b"x" * (2**20 + 1))).status == 413
    assert not node.mailbox.calls


async def test_metrics_tell_sums_and_nobody(lab: Any, connect: Any) -> None:
    nodes = await lab.add(2, telemetry=Address("127.0.0.1", 0))
    await lab.publish()
    client = await connect(nodes[0].service.https_port)
    for _ in range(3):
        await client.ask("POST", "/storage_rpc/v1", RPC)
    await client.ask("GET", "/nothing-here")
    packet = to_node([node.hop_key for node in nodes], "info", {})
    for _ in range(2):
        await client.ask("POST", "/onion_req/v2", packet.data)
    text = nodes[0].service.measure(3).collect()
    found = {(sample.name, sample.labels.get("status")): sample.value for family in text for sample in family.samples}
    assert found["naisho_onion_answers_total", "2xx"] == 4
    assert found["naisho_onion_answers_total", "4xx"] == 2
    assert found["naisho_onion_replays_total", None] == 1
    assert found["naisho_onion_streams", None] == 1
    assert found["naisho_onion_connections", None] == 1
    assert found["naisho_onion_directory_epoch", None] == 1
    telemetry = await connect(nodes[1].service._telemetry.port, tls=False)
    page = await telemetry.ask("GET", "/metrics")
    assert b'naisho_onion_layers_total{node="0",outcome="answered",service="onion"} 1.0' in page.body
    for trace in (b"127.0.0.1", b"nothing-here", nodes[0].key.hex().encode()):
        assert trace not in page.body
