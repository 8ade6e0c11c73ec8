"""What unmodified clients send and rely upon, byte for byte as they send it (wire 2.1, 2.4, 4, 5, 11)."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import httpx
import pytest

from naisho.protocol import ring, storage_texts
from naisho.protocol.account import AccountKeys, ed25519_to_x25519
from naisho.protocol.directory import Directory, Transport
from naisho.protocol.onion.encryption import Encryption
from naisho.protocol.onion.packet import HopKey, to_node
from naisho.protocol.onion.reply import NodeReply
from tests.networks import RunningNetwork, anonymous_tls

WHATSAPP = {"User-Agent": "WhatsApp", "Accept-Language": "en-us"}
DESKTOP_SEED_REQUEST = (
    b'{"jsonrpc":"2.0","method":"get_n_service_nodes","params":{"active_only":true,"fields":{"public_ip":true,'
    b'"storage_port":true,"pubkey_x25519":true,"pubkey_ed25519":true,"requested_unlock_height":true,"height":true}}}'
)
ANDROID_SEED_REQUEST = (
    b'{"method":"get_n_service_nodes","params":{"active_only":true,"fields":["public_ip","storage_port",'
    b'"pubkey_x25519","pubkey_ed25519"]}}'
)
REFRESH = {
    "method": "oxend_request",
    "params": {
        "endpoint": "get_service_nodes",
        "params": {
            "active_only": True,
            "fields": {"public_ip": True, "storage_port": True, "pubkey_x25519": True, "pubkey_ed25519": True},
        },
    },
}
#: Fewer nodes than this and android and libsession refuse the list.
FEWEST_NODES = 12
FOUR = {"public_ip", "storage_port", "pubkey_x25519", "pubkey_ed25519"}
RECORD_BYTES = 51
FOURTEEN_DAYS_MS = 14 * 24 * 3600 * 1000


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that, like all of them, does not check nodes' certificates."""
    with httpx.Client(verify=anonymous_tls(), trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def directory(network: RunningNetwork) -> Directory:
    return network.directory()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def url(directory: Directory, key: bytes, path: str) -> str:
    endpoint = directory.by_key[key].endpoint(Transport.HTTPS)
    assert endpoint is not None
    return f"https://{endpoint.host}:{endpoint.port}{path}"


def members_of(directory: Directory, account: str) -> list[bytes]:
    swarm = ring.choose_swarm(ring.position(bytes.fromhex(account)[1:]), directory.swarm_ids)
    assert swarm is not None
    return [node.key for node in directory.members(swarm)]


def strangers_to(directory: Directory, account: str) -> list[bytes]:
    members = members_of(directory, account)
    return [node.key for node in directory.active_nodes if node.key not in members]


def ask(http: httpx.Client, directory: Directory, key: bytes, method: str, params: dict[str, Any]) -> httpx.Response:
    """Send a direct storage request as session-python does."""
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    return http.post(url(directory, key, "/storage_rpc/v1"), json=body, headers=WHATSAPP)


def ask_through(
    http: httpx.Client,
    directory: Directory,
    destination: bytes,
    method: str,
    params: dict[str, Any],
    *,
    encryption: Encryption = Encryption.AES_GCM,
) -> NodeReply:
    """Send an onion request over three hops."""
    hops = [node.key for node in directory.active_nodes if node.key != destination][:3]
    path = [HopKey.from_ed25519(key) for key in (*hops, destination)]
    packet = to_node(path, method, params, encryption=encryption)
    answer = http.post(url(directory, hops[0], "/onion_req/v2"), content=packet.data, headers=WHATSAPP)
    assert answer.status_code == 200
    return packet.read(answer.content)


def json_of(reply: NodeReply) -> Any:
    """Return an onion reply's body, which clients get as text (wire 5.4)."""
    assert reply.status == 200
    assert isinstance(reply.body, str)
    return json.loads(reply.body)


class TestSeed:
    def test_desktop_gets_what_its_schema_asks_for(self, http: httpx.Client, network: RunningNetwork) -> None:
        headers = {"Content-Type": "application/json", **WHATSAPP}
        answer = http.post(network.seed + "/json_rpc", content=DESKTOP_SEED_REQUEST, headers=headers)
        assert answer.status_code == 200
        assert answer.headers.get_list("content-type") == ["application/json"]
        result = answer.json()["result"]
        assert type(result["height"]) is int
        assert len(result["service_node_states"]) >= FEWEST_NODES
        for node in result["service_node_states"]:
            assert {name: type(node[name]) for name in (*FOUR, "requested_unlock_height")} == {
                "public_ip": str,
                "storage_port": int,
                "pubkey_x25519": str,
                "pubkey_ed25519": str,
                "requested_unlock_height": int,
            }
            assert not IPv4Address(node["public_ip"]).is_unspecified

    def test_desktop_gets_the_same_over_https(self, http: httpx.Client, directory: Directory) -> None:
        answer = http.post(url(directory, directory.active_nodes[0].key, "/json_rpc"), content=DESKTOP_SEED_REQUEST)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert len(answer.json()["result"]["service_node_states"]) == len(directory.active_nodes)

    def test_android_names_fields_in_an_array_and_no_version(self, http: httpx.Client, network: RunningNetwork) -> None:
        answer = http.post(network.seed + "/json_rpc", content=ANDROID_SEED_REQUEST)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        nodes = answer.json()["result"]["service_node_states"]
        assert len(nodes) >= FEWEST_NODES
        assert all(set(node) == FOUR for node in nodes)

    def test_keys_belong_together_and_places_are_distinct(self, http: httpx.Client, network: RunningNetwork) -> None:
        nodes = http.post(network.seed + "/json_rpc", content=ANDROID_SEED_REQUEST).json()["result"][
            "service_node_states"
        ]
        for node in nodes:
            derived = ed25519_to_x25519(bytes.fromhex(node["pubkey_ed25519"]))
            assert derived.hex() == node["pubkey_x25519"]
        assert len({node["pubkey_ed25519"] for node in nodes}) == len(nodes)
        assert len({(node["public_ip"], node["storage_port"]) for node in nodes}) == len(nodes)

    def test_the_id_comes_back(self, http: httpx.Client, network: RunningNetwork) -> None:
        body = {"jsonrpc": "2.0", "id": 0, "method": "get_n_service_nodes", "params": {"fields": {"public_ip": True}}}
        answer = http.post(network.seed + "/json_rpc", json=body).json()
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", 0)
        assert all(set(node) == {"public_ip"} for node in answer["result"]["service_node_states"])


class TestDirect:
    @pytest.mark.parametrize("method", ["get_swarm", "get_snodes_for_pubkey"])
    def test_any_node_tells_a_swarm_by_both_names(self, http: httpx.Client, directory: Directory, method: str) -> None:
        account = AccountKeys.generate().account_id.hex
        for key in (members_of(directory, account)[0], strangers_to(directory, account)[0]):
            answer = ask(http, directory, key, method, {"pubkey": account})
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            body = answer.json()
            listed = {node["pubkey_ed25519"]: node for node in body["snodes"]}
            assert {bytes.fromhex(member) for member in listed} == set(members_of(directory, account))
            assert len(listed) >= 3
            for member, node in listed.items():
                place = directory.by_key[bytes.fromhex(member)].endpoint(Transport.HTTPS)
                assert place is not None
                assert (node["ip"], node["port"], node["port_https"]) == (place.host, str(place.port), place.port)
                assert node["pubkey_x25519"] == ed25519_to_x25519(bytes.fromhex(member)).hex()
                assert node["pubkey_legacy"]
            assert body["hf"] == [19, 6]
            assert abs(body["t"] - now_ms()) < 10_000
            assert int(body["swarm"], 16) in directory.swarm_ids

    def test_session_python_asks_in_a_batch(self, http: httpx.Client, directory: Directory) -> None:
        account = AccountKeys.generate().account_id.hex
        requests = [{"method": "get_swarm", "params": {"pubkey": account}}]
        answer = ask(http, directory, directory.active_nodes[0].key, "batch", {"requests": requests})
        (result,) = answer.json()["results"]
        assert result["code"] == 200
        assert all(int(node["port"]) for node in result["body"]["snodes"])

    def test_a_node_of_another_swarm_says_so_plainly(self, http: httpx.Client, directory: Directory) -> None:
        account = AccountKeys.generate().account_id.hex
        params = {"pubkey": account, "ttl": FOURTEEN_DAYS_MS, "timestamp": now_ms(), "data": "AAAA"}
        answer = ask(http, directory, strangers_to(directory, account)[0], "store", params)
        assert answer.status_code == 421
        listed = {bytes.fromhex(node["pubkey_ed25519"]) for node in answer.json()["snodes"]}
        assert listed == set(members_of(directory, account))

    def test_info_is_a_clock(self, http: httpx.Client, directory: Directory) -> None:
        body = ask(http, directory, directory.active_nodes[0].key, "info", {}).json()
        assert abs(body["timestamp"] - now_ms()) < 10_000
        assert abs(body["t"] - now_ms()) < 10_000
        assert tuple(body["version"]) >= (2, 11, 0)
        assert body["hf"] == [19, 6]

    def test_the_binary_node_list(self, http: httpx.Client, directory: Directory) -> None:
        answer = ask(http, directory, directory.active_nodes[0].key, "active_nodes_bin", {})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
        check_records(answer.content, directory)

    def test_a_ping_names_the_node(self, http: httpx.Client, directory: Directory) -> None:
        key = directory.active_nodes[0].key
        answer = http.post(url(directory, key, "/ping_test/v1"))
        assert answer.status_code == 200
        assert b64decode(answer.headers["x-oxen-snode-pubkey"]) == key


class TestThroughOnions:
    @pytest.mark.parametrize("encryption", [Encryption.AES_GCM, Encryption.XCHACHA20])
    def test_desktop_refreshes_its_node_list(
        self, http: httpx.Client, directory: Directory, encryption: Encryption
    ) -> None:
        destination = directory.active_nodes[-1].key
        reply = ask_through(http, directory, destination, "batch", {"requests": [REFRESH]}, encryption=encryption)
        (result,) = json_of(reply)["results"]
        assert result["code"] == 200
        nodes = result["body"]["result"]["service_node_states"]
        assert len(nodes) >= FEWEST_NODES
        assert all(set(node) == FOUR for node in nodes)

    def test_libsession_reads_the_binary_list_as_base64(self, http: httpx.Client, directory: Directory) -> None:
        reply = ask_through(
            http, directory, directory.active_nodes[-1].key, "active_nodes_bin", {}, encryption=Encryption.XCHACHA20
        )
        assert reply.status == 200
        check_records(b64decode(reply.body, validate=True), directory)

    def test_desktop_stores_and_polls_in_batches(self, http: httpx.Client, directory: Directory) -> None:
        keys = AccountKeys.generate()
        account, at, data = keys.account_id.hex, now_ms(), b64encode(b"sealed by a client").decode()
        member, other = members_of(directory, account)[-2:]
        store = {"pubkey": account, "namespace": 0, "data": data, "timestamp": at, "ttl": FOURTEEN_DAYS_MS}
        reply = ask_through(http, directory, member, "sequence", {"requests": [{"method": "store", "params": store}]})
        (stored,) = json_of(reply)["results"]
        assert stored["code"] == 200
        assert {bytes.fromhex(key) for key in stored["body"]["swarm"]} == set(members_of(directory, account))
        polls = [poll(keys, namespace, share) for namespace, share in ((0, -2), (2, -8), (3, -8), (4, -8), (5, -8))]
        results = json_of(ask_through(http, directory, other, "batch", {"requests": polls}))["results"]
        assert [result["code"] for result in results] == [200] * 5
        (message,) = results[0]["body"]["messages"]
        assert (message["hash"], message["data"], message["timestamp"]) == (stored["body"]["hash"], data, at)
        assert message["expiration"] == at + FOURTEEN_DAYS_MS
        assert results[0]["body"]["more"] is False
        assert [result["body"]["messages"] for result in results[1:]] == [[]] * 4

    def test_wrong_swarm_and_wrong_clock_are_said_inside_only(self, http: httpx.Client, directory: Directory) -> None:
        keys = AccountKeys.generate()
        account = keys.account_id.hex
        store = {"pubkey": account, "namespace": 0, "data": "AAAA", "timestamp": now_ms(), "ttl": FOURTEEN_DAYS_MS}
        reply = ask_through(http, directory, strangers_to(directory, account)[-1], "store", store)
        assert reply.status == 421
        assert json.loads(reply.body)["snodes"]
        late = store | {"timestamp": now_ms() + 3_600_000}
        reply = ask_through(http, directory, members_of(directory, account)[-1], "store", late)
        assert reply.status == 406
        assert "check your clock" in reply.body

    def test_an_unknown_next_node_is_named_exactly(self, http: httpx.Client, directory: Directory) -> None:
        hops = [node.key for node in directory.active_nodes][:2]
        nobody = AccountKeys.generate().ed25519_public
        path = [HopKey.from_ed25519(key) for key in (*hops, nobody)]
        packet = to_node(path, "info", {}, encryption=Encryption.AES_GCM)
        answer = http.post(url(directory, hops[0], "/onion_req/v2"), content=packet.data)
        assert (answer.status_code, answer.text) == (502, f"Next node not found: {nobody.hex()}")


def poll(keys: AccountKeys, namespace: int, share: int) -> dict[str, Any]:
    """Return a sub-request as desktop polls one namespace."""
    at = now_ms()
    return {
        "method": "retrieve",
        "params": {
            "pubkey": keys.account_id.hex,
            "pubkey_ed25519": keys.ed25519_public.hex(),
            "namespace": namespace,
            "last_hash": "",
            "max_size": share,
            "timestamp": at,
            "signature": b64encode(keys.sign(storage_texts.retrieve(namespace, at))).decode(),
        },
    }


def check_records(records: bytes, directory: Directory) -> None:
    """Check a binary node list as libsession does: 51 bytes each, no address, port or version of zero."""
    assert len(records) % RECORD_BYTES == 0
    assert len(records) // RECORD_BYTES >= FEWEST_NODES
    keys = set()
    for start in range(0, len(records), RECORD_BYTES):
        record = records[start : start + RECORD_BYTES]
        node = directory.by_key[record[:32]]
        place = node.endpoint(Transport.HTTPS)
        assert place is not None
        assert int.from_bytes(record[32:40]) == node.swarm_id
        assert record[40:44] == IPv4Address(place.host).packed
        assert int.from_bytes(record[44:46]) == place.port
        assert int.from_bytes(record[46:48]) > 0
        assert tuple(record[48:51]) >= (2, 11, 0)
        keys.add(node.key)
    assert keys == {node.key for node in directory.active_nodes}
