"""Every parser of untrusted bytes around the directory: documents, statements of nodes, network files, rosters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from naisho.protocol import ring, signing
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import (
    Directory,
    DirectoryError,
    Endpoint,
    MalformedDirectory,
    Node,
    NodeState,
    SigningKeys,
    Transport,
    codec,
    delegate,
    sign_directory,
    verify,
)
from naisho.protocol.directory.model import VALIDITY_MS
from naisho.protocol.directory.statements import (
    Heartbeat,
    announce,
    read_announcement,
    read_heartbeat,
    sign_certificate,
    sign_heartbeat,
)
from naisho.protocol.grade import Grade
from naisho.protocol.network_file import NetworkFile, NetworkFileError
from naisho.protocol.network_file import parse as parse_network_file
from naisho.protocol.network_file import render as render_network_file
from naisho.protocol.signing import SigningKey
from operators.membership.domain.life import Life, Member
from operators.membership.record import UnreadableRoster, decode_roster, encode_roster

NOW_MS: Final = 1_800_000_000_000
ID: Final = "n-fuzz"
ROOT, SIGNER = SigningKey(b"r" * 32), SigningKey(b"s" * 32)
NETWORK: Final = NetworkFile(ID, (ROOT.public,), seeds=("http://127.0.0.1:1",), name="fuzz")
Fuzz = Callable[..., None]


def make_node(index: int) -> Node:
    signer = SigningKey(bytes([index]) * 32)
    return Node(
        key=signer.public,
        x25519=ed25519_to_x25519(signer.public),
        endpoints=(
            Endpoint(Transport.HTTPS, f"192.0.2.{index}", 443),
            Endpoint(Transport.HOP, "node.example", 444),
            Endpoint(Transport.SEED, "2001:db8::1", 80),
        ),
        family="aoi",
        country="JP",
        version=(2, 11, 0),
        state=NodeState(1 + index % 4),
        swarm_id=ring.INVALID_SWARM if index % 4 == 0 else ring.swarm_id(0),
        next_swarm_id=ring.swarm_id(64) if index % 4 == 0 else ring.INVALID_SWARM,
        certificate=b"certificate",
        certificate_signature=sign_certificate(b"certificate", signer, network_id=ID),
        machine="m.1",
    )


NODES: Final = tuple(sorted((make_node(index) for index in (2, 4)), key=lambda node: node.key))
DIRECTORY: Final = Directory(ID, Grade.SINGLE_OPERATOR, 7, NOW_MS, NOW_MS + VALIDITY_MS, b"p" * 32, NODES)
KEYS: Final = delegate(SigningKeys(ID, (SIGNER.public,), 1, NOW_MS + VALIDITY_MS, 1, 99), [ROOT])
SIGNED: Final = sign_directory(DIRECTORY, KEYS, [SIGNER]).signed
BEAT: Final = Heartbeat(
    SIGNER.public, NOW_MS, caught_up=True, position=5, lag=1, unreachable_peers=frozenset({b"k" * 32})
)


def believed(signed: bytes) -> None:
    assert verify(signed, network=NETWORK, now_ms=NOW_MS, newest_epoch_seen=6).nodes == NODES


def decoded(document: bytes) -> None:
    found = codec.decode(document)
    again = codec.decode(codec.encode(found))
    assert replace(again, digest=b"") == replace(found, digest=b""), "what is read can be written and read again"
    for node in found.nodes:
        assert found.followed(node.key).all <= frozenset(range(256))
        assert all("/" in network for network in node.networks)


def believed_whatever_is_signed(signed: bytes) -> None:
    verify(signed, network=NETWORK, now_ms=NOW_MS)


def network_file(text: bytes) -> None:
    found = parse_network_file(text)
    assert parse_network_file(render_network_file(found)) == found


def roster(data: bytes) -> None:
    found = decode_roster(data)
    assert decode_roster(encode_roster(found)) == found


ROSTER: Final = encode_roster(
    {
        node.key: Member(replace(node, swarm_id=ring.INVALID_SWARM, next_swarm_id=ring.INVALID_SWARM), life, 5, "why")
        for node, life in zip(NODES, (Life.ANNOUNCED, Life.GONE), strict=True)
    }
)
TARGETS: Final[dict[str, tuple[Callable[[bytes], object], bytes, type[Exception]]]] = {
    "signed directory": (believed, SIGNED, DirectoryError),
    "directory": (decoded, codec.encode(DIRECTORY), MalformedDirectory),
    "announcement": (
        partial(read_announcement, network_id=ID),
        announce(make_node(1), SigningKey(bytes([1]) * 32), network_id=ID, time_ms=NOW_MS, newest_directory=b"d"),
        DirectoryError,
    ),
    "heartbeat": (
        partial(read_heartbeat, network_id=ID),
        sign_heartbeat(BEAT, SIGNER, network_id=ID),
        DirectoryError,
    ),
    "network file": (network_file, render_network_file(NETWORK).encode(), NetworkFileError),
    "roster": (roster, ROSTER, UnreadableRoster),
}


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_directory(name: str, fuzz: Fuzz) -> None:
    parse, seed, refuses = TARGETS[name]
    fuzz(name, parse, [seed], (refuses,))


def test_fuzz_past_the_signatures(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing keys may be in wrong hands, and a root key signs what it is shown."""
    monkeypatch.setattr(signing, "verify", lambda *_: True)
    with pytest.raises(DirectoryError):
        believed_whatever_is_signed(SIGNED[:-1])
    fuzz("directory in wrong hands", believed_whatever_is_signed, [SIGNED], (DirectoryError,))
