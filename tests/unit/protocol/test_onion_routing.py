"""Where a decrypted layer goes, against the vectors and the wire document's refusals."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol.errors import BadInnerLayer, BadUrl
from naisho.protocol.onion.encryption import Encryption
from naisho.protocol.onion.framing import encode
from naisho.protocol.onion.routing import Final, ToNode, ToServer, decode_route, target_allowed

BLOB = b"ciphertext"
NODE = {"destination": "ff" * 32, "ephemeral_key": "11" * 32}
SERVER = {"host": "files.example", "target": "/oxen/v4/lsrpc"}


def test_routes_of_the_vectors(vectors: dict[str, Any]) -> None:
    final, server, plain_server, node = (entry["json"] for entry in vectors["onion_inner_routing"]["vectors"])
    assert decode_route(encode(BLOB, final)) == Final(BLOB, json=False, base64=True)
    # The vectors' targets stand for themselves; the rule for targets comes on top, as in the reference server.
    for header, port, protocol in ((server, 443, "https"), (plain_server, 80, "http")):
        with pytest.raises(BadUrl):
            decode_route(encode(BLOB, header))
        plaintext = encode(BLOB, header | {"target": "/loki/v3/lsrpc"})
        assert decode_route(plaintext) == ToServer("host", "/loki/v3/lsrpc", port, protocol, plaintext)  # type: ignore[arg-type]  # a literal, through a tuple
    assert decode_route(encode(BLOB, node)) == ToNode(
        bytes.fromhex(node["destination"]), bytes.fromhex(node["ephemeral_key"]), Encryption.AES_GCM, BLOB
    )


@pytest.mark.vectors("onion_inner_routing", "url_target_allowed")
def test_allowed_targets(vector: tuple[str, bool]) -> None:
    target, allowed = vector
    assert target_allowed(target) is allowed


@pytest.mark.parametrize(
    "target",
    [
        "/loki/../admin/lsrpc",
        "/loki/./lsrpc",
        "/loki/#/lsrpc",
        "/loki/%2e%2e/lsrpc",
        "/loki/v3\r\nHost: x/lsrpc",
        "/loki/v3/lsrpc\n",
        "/loki//lsrpc",
        "/loki/v 3/lsrpc",
        "/loki/\\/lsrpc",
        "//loki/v3/lsrpc",
        "loki/v3/lsrpc",
        "/loki/" + "a/" * 600 + "lsrpc",
        "",
    ],
)
def test_targets_that_could_lead_elsewhere(target: str) -> None:
    with pytest.raises(BadUrl) as refused:
        decode_route(encode(BLOB, SERVER | {"target": target}))
    assert (refused.value.status, refused.value.text, refused.value.encrypted) == (400, "Invalid url", True)


@pytest.mark.parametrize(
    "host",
    ["", "a b", "user@host", "host/path", "host:80", "host?x", "host#x", "[::1", "::1", "h\nost", "h" * 254, "é"],
)
def test_hosts_that_are_more_than_a_host(host: str) -> None:
    with pytest.raises(BadUrl):
        decode_route(encode(BLOB, SERVER | {"host": host}))


@pytest.mark.parametrize("host", ["files.example", "192.0.2.1", "[2001:db8::1]", "a_b-c.example"])
def test_hosts_that_are_one(host: str) -> None:
    route = decode_route(encode(BLOB, SERVER | {"host": host, "port": 8080, "protocol": "http"}))
    assert isinstance(route, ToServer)
    assert route.url == f"http://{host}:8080/oxen/v4/lsrpc"


def test_only_http_and_https() -> None:
    with pytest.raises(BadUrl):
        decode_route(encode(BLOB, SERVER | {"protocol": "ftp"}))


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"destination": "ff" * 32},
        {"ephemeral_key": "11" * 32},
        NODE | {"destination": "ff" * 31},
        NODE | {"destination": 5},
        NODE | {"ephemeral_key": "zz" * 32},
        NODE | {"enc_type": "rot13"},
        NODE | {"enc_type": 5},
        {"host": "files.example"},
        SERVER | {"host": 5},
        SERVER | {"target": None},
        SERVER | {"port": 0},
        SERVER | {"port": 65_536},
        SERVER | {"port": "80"},
        SERVER | {"port": True},
        SERVER | {"port": 80.5},
        SERVER | {"protocol": 5},
        {"headers": "", "json": 1},
        {"headers": "", "base64": "no"},
    ],
)
def test_members_that_are_missing_or_of_the_wrong_type(header: dict[str, Any]) -> None:
    with pytest.raises(BadInnerLayer) as refused:
        decode_route(encode(BLOB, header))
    assert (refused.value.status, refused.value.text, refused.value.encrypted) == (400, "Invalid json", True)


@pytest.mark.parametrize(
    "plaintext", [b"", b"\1", b"\xff\xff\xff\x7f{}", b"\0\0\0\0", b"\0\0\0\0null", b"\0\0\0\0\xff"]
)
def test_plaintexts_that_are_no_frame(plaintext: bytes) -> None:
    with pytest.raises(BadInnerLayer):
        decode_route(plaintext)


def test_members_decide_in_order_and_options_are_read() -> None:
    everything = SERVER | NODE | {"headers": None, "json": True, "base64": False}
    assert decode_route(encode(BLOB, everything)) == Final(BLOB, json=True, base64=False)
    assert isinstance(decode_route(encode(BLOB, SERVER | NODE)), ToServer)
    assert decode_route(encode(BLOB, NODE | {"enc_type": "xchacha20"})) == ToNode(
        b"\xff" * 32, b"\x11" * 32, Encryption.XCHACHA20, BLOB
    )


def test_a_route_shows_nothing_when_printed() -> None:
    shown = repr([decode_route(encode(BLOB, header)) for header in (NODE, SERVER, {"headers": ""})])
    for secret in ("ff" * 8, "files.example", "ciphertext", r"\xff\xff"):
        assert secret not in shown
