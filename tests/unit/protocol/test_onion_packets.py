"""Whole packets along a path, every plaintext on the way, and the replies, against the vectors."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest

from naisho.protocol.errors import BadKey, BadReply, BadServerPayload
from naisho.protocol.onion import v4
from naisho.protocol.onion.encryption import Encryption, LayerKey
from naisho.protocol.onion.framing import decode, decode_outer
from naisho.protocol.onion.packet import HopKey, NodePacket, Server, to_node, to_server
from naisho.protocol.onion.reply import encode_reply, open_reply, seal_reply
from naisho.protocol.onion.routing import Final, ToNode, ToServer, decode_route


def drawing(*values: Iterable[str]) -> Callable[[int], bytes]:
    """Return a source of randomness that yields known secrets and nonces, innermost layer first."""
    rest = iter([bytes.fromhex(value) for pair in reversed(list(zip(*values, strict=True))) for value in pair])

    def draw(size: int) -> bytes:
        value = next(rest)
        assert len(value) == size
        return value

    return draw


def build(vectors: dict[str, Any], example: dict[str, Any]) -> tuple[NodePacket, list[LayerKey]]:
    nodes = vectors["onion_three_hops_to_node"]["nodes"]
    packet = to_node(
        [HopKey.from_ed25519(bytes.fromhex(node["ed25519"])) for node in nodes],
        "info",
        {},
        encryption=Encryption.parse(example["enc_type"]),
        random=drawing(example["ephemeral_secrets"], example["ivs_or_nonces"]),
    )
    return packet, [LayerKey(bytes.fromhex(node["x25519_sk"])) for node in nodes]


@pytest.mark.vectors("onion_three_hops_to_node", "examples")
def test_three_hops_to_a_node(vector: dict[str, Any], vectors: dict[str, Any]) -> None:
    packet, keys = build(vectors, vector)
    assert packet.data.hex() == vector["packet_to_first_hop_hex"]
    layer = decode_outer(packet.data)
    ephemeral, encryption, blob = layer.ephemeral_key, layer.encryption, layer.blob
    nodes = vectors["onion_three_hops_to_node"]["nodes"]
    for index, expected in enumerate(vector["decrypted_at_each_node_hex"]):
        plaintext, reply_key = keys[index].open(encryption, ephemeral, blob)
        assert plaintext.hex() == expected
        route = decode_route(plaintext)
        if isinstance(route, ToNode):
            assert route.destination.hex() == nodes[index + 1]["ed25519"]
            ephemeral, encryption, blob = route.ephemeral_key, route.encryption, route.blob
    assert route == Final(b'{"method":"info","params":{}}')
    answer = orjson.loads(vector["reply_plaintext"])
    plaintext = encode_reply(200, answer["body"].encode())
    assert plaintext.decode() == vector["reply_plaintext"]
    nonce = bytes.fromhex(vector["reply_iv_or_nonce"])
    body = seal_reply(reply_key, plaintext, base64=True, random=lambda _size: nonce)
    assert body.decode() == vector["reply_body_base64"]
    reply = packet.read(body)
    assert (reply.status, reply.body) == (200, answer["body"])


def test_a_reply_with_options(vectors: dict[str, Any]) -> None:
    packet, _ = build(vectors, vectors["onion_three_hops_to_node"]["examples"][0])
    key = packet._key
    as_value = encode_reply(200, b'{"t": 1}', json=True)
    assert orjson.loads(as_value) == {"status": 200, "body": {"t": 1}}
    assert open_reply(key, seal_reply(key, as_value, base64=False), base64=False).body == {"t": 1}
    assert orjson.loads(encode_reply(400, b"invalid json", json=True)) == {"status": 400, "body": "invalid json"}
    binary = orjson.loads(encode_reply(200, b"\x00\xff{", binary=True, json=True))
    assert b64decode(binary["body"]) == b"\x00\xff{"
    assert orjson.loads(encode_reply(200, b"")) == {"status": 200, "body": ""}


@pytest.mark.parametrize(
    "plaintext",
    [
        *(b"", b"[]", b"{}", b'{"status":200}', b'{"body":""}', b'{"status":"200","body":""}', b"\xff"),
        *(
            b'{"status":true,"body":""}',
            b'{"status":99,"body":""}',
            b'{"status":600,"body":""}',
            b'{"status":200,"body":',
        ),
    ],
)
def test_replies_that_are_none(plaintext: bytes, vectors: dict[str, Any]) -> None:
    packet, _ = build(vectors, vectors["onion_three_hops_to_node"]["examples"][0])
    with pytest.raises(BadReply):
        packet.read(seal_reply(packet._key, plaintext, base64=True))


def test_replies_that_are_not_ours(vectors: dict[str, Any]) -> None:
    packet, _ = build(vectors, vectors["onion_three_hops_to_node"]["examples"][0])
    sealed = seal_reply(packet._key, encode_reply(200, b"{}"), base64=True)
    for body in (b"", b"!", sealed[:-4], b"AAAA" + sealed[4:], sealed + b"\n", b"A" * 15_000_000, "é".encode()):
        with pytest.raises(BadReply):
            packet.read(body)


def test_v4_to_a_server(vectors: dict[str, Any]) -> None:
    vector = vectors["onion_v4_to_server"]
    server_key = LayerKey(bytes.fromhex(vector["server_x25519_sk"]))
    exit_node = LayerKey(bytes(31) + b"\1")
    request = v4.Request("POST", "/file", {"Content-Type": "application/octet-stream"}, b"hello file")
    payload = v4.encode_request(request)
    assert payload.decode() == vector["request_plain"]
    assert v4.encode_request(v4.Request("POST", "/file", {}, b"hello file")) == payload
    packet = to_server(
        [HopKey(b"\2" * 32, exit_node.public)],
        Server("files.example.org", server_key.public, "http", 80),
        payload,
        encryption=Encryption.AES_GCM,
        random=drawing(["11" * 32, vector["ephemeral_secret"]], ["22" * 12, vector["iv"]]),
    )
    layer = decode_outer(packet.data)
    plaintext, _ = exit_node.open(layer.encryption, layer.ephemeral_key, layer.blob)
    assert plaintext.hex() == vector["http_post_body_at_server_hex"]
    route = decode_route(plaintext)
    assert isinstance(route, ToServer)
    assert route.url == "http://files.example.org:80/oxen/v4/lsrpc"
    # What the server does.
    blob, beside = decode(route.plaintext)
    opened, reply_key = server_key.open(
        Encryption.parse(beside["enc_type"]), bytes.fromhex(beside["ephemeral_key"]), blob
    )
    assert v4.decode_request(opened) == request
    _, headers, body = b'{"code":200', {"Content-Type": "application/json"}, vector["response_plain"].split("71:")[1]
    response = v4.encode_response(v4.Response(200, headers, body[:-1].encode()))
    assert response.decode() == vector["response_plain"]
    iv = bytes.fromhex(vector["response_iv"])
    sealed = reply_key.seal(response, lambda _size: iv)
    assert sealed.hex() == vector["response_body_hex"]
    answer = packet.read(sealed)
    assert (answer.code, answer.headers) == (200, {"content-type": "application/json"})
    assert orjson.loads(answer.body)["id"] == "12345"
    for broken in (b"", sealed[:-1], bytes(11_000_000)):
        with pytest.raises(BadReply):
            packet.read(broken)
    with pytest.raises(BadServerPayload):
        packet.read(reply_key.seal(b"not v4"))


def test_https_servers_are_named_without_port_and_protocol() -> None:
    key = LayerKey(b"\1" * 32)
    packet = to_server([HopKey(b"\2" * 32, key.public)], Server("files.example", key.public), b"le")
    layer = decode_outer(packet.data)
    plaintext, _ = key.open(layer.encryption, layer.ephemeral_key, layer.blob)
    _, header = decode(plaintext)
    assert set(header) == {"host", "target", "method", "ephemeral_key", "enc_type"}
    assert layer.encryption is Encryption.XCHACHA20


def test_a_path_needs_nodes_with_keys() -> None:
    server = Server("files.example", LayerKey(b"\1" * 32).public)
    with pytest.raises(BadKey):
        to_node([], "info", {})
    with pytest.raises(BadKey):
        to_server([], server, b"le")
    with pytest.raises(BadKey):
        to_node([HopKey(bytes(32), bytes(32))], "info", {})
    with pytest.raises(BadKey):
        HopKey.from_ed25519(b"\xff" * 32)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"le",
        b"l2:{}1:a1:be",
        b"l2:{}i5ee",
        b"i5e",
        b"d2:{}1:ae",
        b"l9999999999:{}e",
        b"l1:{e",
        b"l2:[]e",
        b"l2:{}e",
        b'l22:{"code":"200","headers":{}}e',
        b'l12:{"code":true}e',
        b'l10:{"code":9}e',
        b'l25:{"code":200,"headers":[1]}e',
        b'l28:{"code":200,"headers":{"a":1}}e',
        b"l" * 5000,
        b"l70000:" + b" " * 70_000 + b"e",
        b"l" + bytes(11_000_000),
    ],
)
def test_payloads_that_are_not_v4(data: bytes) -> None:
    for read in (v4.decode_request, v4.decode_response):
        with pytest.raises(BadServerPayload):
            read(data)


def test_v4_without_bodies() -> None:
    request = v4.Request("GET", "/file/5?x=1")
    assert v4.decode_request(v4.encode_request(request)) == request
    empty = v4.encode_response(v4.Response(404))
    assert empty == b'l25:{"code":404,"headers":{}}0:e'
    assert v4.decode_response(empty) == v4.Response(404)
    assert v4.decode_response(b'l12:{"code":200}e') == v4.Response(200)
    with pytest.raises(BadServerPayload):
        v4.decode_request(b'l34:{"method":"GET","endpoint":"file"}e')
