"""Who may say who is in the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from naisho.protocol import ring
from naisho.protocol.directory import (
    BadDirectorySignature,
    DirectoryExpired,
    DirectoryFromFuture,
    DirectoryOutdated,
    Endpoint,
    Freshness,
    Grade,
    GradeTooLow,
    MalformedDirectory,
    NodeState,
    SigningKeysExpired,
    Transport,
    WrongNetwork,
    codec,
    sign_directory,
    verify,
)
from naisho.protocol.directory.model import HOUR_MS, VALIDITY_MS
from naisho.protocol.signing import SigningKey
from naisho.wire.directory.v1 import directory_pb2 as wire

if TYPE_CHECKING:
    from .conftest import Paper

DAY_MS = 24 * HOUR_MS
MakeKey = Callable[[str], SigningKey]


def test_a_signed_directory_comes_back_as_it_was(paper: Paper, now_ms: int) -> None:
    signed = paper.sign()
    found = verify(signed.signed, network=paper.network, now_ms=now_ms)
    assert found == signed
    assert found.signed == signed.signed
    assert codec.decode(codec.encode(found)).nodes == found.nodes


def test_unsigned_or_signed_by_a_stranger_is_refused(paper: Paper, now_ms: int, make_key: MakeKey) -> None:
    unsigned = sign_directory(paper.directory(), paper.signing_keys, []).signed
    strange = sign_directory(paper.directory(), paper.signing_keys, [make_key("stranger")]).signed
    rooted = sign_directory(paper.directory(), paper.signing_keys, [paper.root]).signed
    for bad in (unsigned, strange, rooted):
        with pytest.raises(BadDirectorySignature):
            verify(bad, network=paper.network, now_ms=now_ms)


def test_a_stranger_s_delegation_is_refused(paper: Paper, now_ms: int, make_key: MakeKey) -> None:
    stranger = make_key("stranger")
    forged = sign_directory(paper.directory(), paper.delegation(stranger, keys=(stranger.public,)), [stranger]).signed
    with pytest.raises(BadDirectorySignature):
        verify(forged, network=paper.network, now_ms=now_ms)


def test_every_byte_of_the_document_is_covered(paper: Paper, now_ms: int) -> None:
    signed = wire.SignedDirectory.FromString(paper.sign().signed)
    for at in range(0, len(signed.document), 7):
        changed = bytearray(signed.document)
        changed[at] ^= 1
        forged = wire.SignedDirectory(
            document=bytes(changed), signatures=signed.signatures, signing_keys=signed.signing_keys
        ).SerializeToString()
        with pytest.raises(BadDirectorySignature):
            verify(forged, network=paper.network, now_ms=now_ms)


def test_k_of_n_root_keys_must_agree(paper: Paper, now_ms: int, make_key: MakeKey) -> None:
    roots = [make_key(f"root {index}") for index in range(3)]
    network = replace(paper.network, root_keys=tuple(root.public for root in roots), root_threshold=2)

    def signed_by(*some: SigningKey) -> bytes:
        return sign_directory(paper.directory(), paper.delegation(*some), [paper.signing]).signed

    assert verify(signed_by(roots[0], roots[2]), network=network, now_ms=now_ms).epoch == 1
    for too_few in ([roots[1]], [roots[1], roots[1]], [roots[1], paper.root]):
        with pytest.raises(BadDirectorySignature, match="1 valid signatures of root keys, of 2"):
            verify(signed_by(*too_few), network=network, now_ms=now_ms)


def test_k_of_n_signing_keys_must_agree(paper: Paper, now_ms: int, make_key: MakeKey) -> None:
    other = make_key("second signing")
    keys = paper.delegation(keys=(paper.signing.public, other.public), threshold=2)
    both = sign_directory(paper.directory(), keys, [paper.signing, other]).signed
    assert verify(both, network=paper.network, now_ms=now_ms).epoch == 1
    with pytest.raises(BadDirectorySignature, match="1 valid signatures of 2"):
        verify(sign_directory(paper.directory(), keys, [paper.signing]).signed, network=paper.network, now_ms=now_ms)


def test_signatures_hold_for_one_network_only(paper: Paper, now_ms: int) -> None:
    signed = paper.sign().signed
    with pytest.raises(BadDirectorySignature):
        verify(signed, network=replace(paper.network, network_id="n-other"), now_ms=now_ms)
    elsewhere = paper.sign(paper.directory(network_id="n-other")).signed
    with pytest.raises(BadDirectorySignature):
        verify(elsewhere, network=paper.network, now_ms=now_ms)


def test_another_network_inside_a_good_signature_is_refused(paper: Paper, now_ms: int) -> None:
    document = codec.encode(paper.directory(network_id="n-other"))
    honest = paper.sign(paper.directory())
    message = wire.SignedDirectory.FromString(honest.signed)
    message.document = document
    from naisho.protocol.directory.signatures import Purpose, sign  # noqa: PLC0415 - forging needs the parts

    message.signatures[0].signature = sign(paper.signing, Purpose.DIRECTORY, paper.network.network_id, document)
    with pytest.raises(WrongNetwork):
        verify(message.SerializeToString(), network=paper.network, now_ms=now_ms)


def test_expiry_freshness_and_clocks(paper: Paper, now_ms: int) -> None:
    signed = paper.sign()
    assert signed.freshness(now_ms + 26 * HOUR_MS) is Freshness.FRESH
    assert signed.freshness(now_ms + 26 * HOUR_MS + 1) is Freshness.STALE
    assert signed.freshness(now_ms + VALIDITY_MS) is Freshness.EXPIRED
    assert verify(signed.signed, network=paper.network, now_ms=now_ms + VALIDITY_MS - 1).epoch == 1
    with pytest.raises(DirectoryExpired):
        verify(signed.signed, network=paper.network, now_ms=now_ms + VALIDITY_MS)
    assert verify(signed.signed, network=paper.network, now_ms=now_ms - DAY_MS).epoch == 1
    with pytest.raises(DirectoryFromFuture):
        verify(signed.signed, network=paper.network, now_ms=now_ms - DAY_MS - 1)


def test_signing_keys_end_and_cover_a_range_of_epochs(paper: Paper, now_ms: int) -> None:
    keys = paper.delegation(expires_ms=now_ms + DAY_MS, first_epoch=10, last_epoch=20)
    for epoch, good in ((9, False), (10, True), (20, True), (21, False)):
        signed = sign_directory(paper.directory(epoch=epoch), keys, [paper.signing]).signed
        if good:
            assert verify(signed, network=paper.network, now_ms=now_ms).epoch == epoch
        else:
            with pytest.raises(SigningKeysExpired, match="10 to 20"):
                verify(signed, network=paper.network, now_ms=now_ms)
    signed = sign_directory(paper.directory(epoch=10), keys, [paper.signing]).signed
    with pytest.raises(SigningKeysExpired):
        verify(signed, network=paper.network, now_ms=now_ms + DAY_MS)


def test_a_lower_grade_is_refused_and_a_higher_one_is_not(paper: Paper, now_ms: int) -> None:
    strict = replace(paper.network, lowest_grade=Grade.INDEPENDENT)
    with pytest.raises(GradeTooLow, match="single-operator"):
        verify(paper.sign().signed, network=strict, now_ms=now_ms)
    better = paper.sign(paper.directory(grade=Grade.INDEPENDENT)).signed
    assert verify(better, network=paper.network, now_ms=now_ms).grade > Grade.SINGLE_OPERATOR


def test_epochs_never_go_back(paper: Paper, now_ms: int) -> None:
    signed = paper.sign(paper.directory(epoch=7)).signed
    assert verify(signed, network=paper.network, now_ms=now_ms, newest_epoch_seen=7).epoch == 7
    with pytest.raises(DirectoryOutdated, match="epoch 7; epoch 8"):
        verify(signed, network=paper.network, now_ms=now_ms, newest_epoch_seen=8)


def test_a_certificate_that_its_node_did_not_sign_is_refused(paper: Paper, now_ms: int) -> None:
    swapped = replace(paper.node(1), certificate=b"another")
    with pytest.raises(BadDirectorySignature, match="certificate"):
        verify(paper.sign(paper.directory(swapped)).signed, network=paper.network, now_ms=now_ms)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"key": b"\x02" * 32}, "no Ed25519 key"),
        ({"key": b"short"}, "32 bytes"),
        ({"family": ""}, "family"),
        ({"family": "Aoi"}, "family"),
        ({"family": "a" * 33}, "family"),
        ({"family": "-a"}, "family"),
        ({"country": "jp"}, "country"),
        ({"country": "JPN"}, "country"),
        ({"version": (256, 0, 0)}, "above 255"),
        ({"machine": "a b"}, "machine"),
        ({"machine": "m" * 65}, "machine"),
        ({"certificate": b""}, "certificate"),
        ({"certificate": b"c" * 1025}, "certificate"),
        ({"certificate_signature": b"s" * 63}, "signature is not 64"),
        ({"swarm_id": 5}, "off the ring's grid"),
        ({"next_swarm_id": 2**56}, "off the ring's grid"),
        ({"state": NodeState.JOINING}, "member of a swarm already"),
        ({"endpoints": ()}, "no HTTPS endpoint"),
        ({"endpoints": (Endpoint(Transport.HOP, "10.0.0.1", 1),)}, "no HTTPS endpoint"),
        ({"endpoints": tuple(Endpoint(Transport.HTTPS, "10.0.0.1", port) for port in range(1, 10))}, "more than 8"),
        ({"endpoints": (Endpoint(Transport.HTTPS, "10.0.0.1", 0),)}, "port"),
        ({"endpoints": (Endpoint(Transport.HTTPS, "10.0.0.1", 65536),)}, "port"),
        *(
            ({"endpoints": (Endpoint(Transport.HTTPS, host, 443),)}, "host")
            for host in ("", "0.0.0.0", "::", "224.0.0.1", "a b", "-a.example", "A.example", "1.2.3", "a" * 254, "a..b",
                         "1.2.3.04", "2001:DB8::1", "http://a")
        ),
    ],
)  # fmt: skip
def test_a_node_that_breaks_a_rule_is_never_signed(paper: Paper, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(MalformedDirectory, match=complaint):
        paper.sign(paper.directory(paper.node(1, **changes)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"network_id": "N"}, "network id"),
        ({"epoch": 0}, "epoch"),
        ({"epoch": 2**53}, "epoch"),
        ({"issued_ms": 0}, "time of issue"),
        ({"expires_ms": 1}, "validity"),
        ({"previous": b"x"}, "SHA-256"),
    ],
)
def test_a_document_that_breaks_a_rule_is_never_signed(
    paper: Paper, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(MalformedDirectory, match=complaint):
        paper.sign(paper.directory(**changes))


def test_validity_is_at_most_seven_days(paper: Paper, now_ms: int) -> None:
    with pytest.raises(MalformedDirectory, match="7 days"):
        paper.sign(paper.directory(expires_ms=now_ms + VALIDITY_MS + 1))


def test_nodes_share_neither_keys_nor_contacts(paper: Paper) -> None:
    first, second = paper.node(1), paper.node(2)
    with pytest.raises(MalformedDirectory, match="ascending"):
        paper.sign(paper.directory(first, first))
    with pytest.raises(MalformedDirectory, match="HTTPS endpoint"):
        paper.sign(paper.directory(first, replace(second, endpoints=first.endpoints)))
    mirrored = bytes([*first.key[:31], first.key[31] ^ 0x80])
    with pytest.raises(MalformedDirectory, match="X25519"):
        paper.sign(paper.directory(first, replace(second, key=mirrored)))


@pytest.mark.parametrize("bad", [b"", b"\xff" * 40, b"\x0a\x02\x08", b"\0" * 1_000_001])
def test_rubbish_is_refused(paper: Paper, now_ms: int, bad: bytes) -> None:
    with pytest.raises((MalformedDirectory, BadDirectorySignature)):
        verify(bad, network=paper.network, now_ms=now_ms)


def test_too_many_signatures_are_not_even_checked(paper: Paper, now_ms: int) -> None:
    message = wire.SignedDirectory.FromString(paper.sign().signed)
    message.signatures.extend([message.signatures[0]] * 16)
    with pytest.raises(MalformedDirectory, match="16 signatures"):
        verify(message.SerializeToString(), network=paper.network, now_ms=now_ms)


def test_views(paper: Paper) -> None:
    first, second = ring.swarm_id(0), ring.swarm_id(64)
    nodes = (
        paper.node(0, swarm_id=first),
        paper.node(1, swarm_id=first, next_swarm_id=second),
        paper.node(2, swarm_id=first, state=NodeState.UNREACHABLE),
        paper.node(3, swarm_id=ring.INVALID_SWARM, next_swarm_id=second, state=NodeState.JOINING),
        paper.node(4, swarm_id=first, state=NodeState.DRAINING),
    )
    directory = paper.directory(*nodes)
    assert set(directory.active_nodes) == {nodes[0], nodes[1]}
    assert set(directory.listed_nodes) == set(nodes) - {nodes[3]}
    assert directory.swarm_ids == (first,)
    assert directory.planned_swarm_ids == (first, second)
    assert set(directory.members(first)) == set(nodes) - {nodes[3]}
    assert directory.members(second) == ()
    assert directory.by_x25519[nodes[3].x25519] is nodes[3]
    everything = frozenset(range(256))
    half = frozenset(ring.shards_of(second, [first, second]))
    assert 0 < len(half) < 256
    assert directory.followed(nodes[0].key) == (everything, frozenset())
    assert directory.followed(nodes[1].key) == (everything, frozenset())
    assert directory.followed(nodes[3].key) == (half, frozenset())
    assert directory.followed(b"?" * 32).all == frozenset()
    both = paper.directory(*nodes[:4], paper.node(5, swarm_id=second, next_swarm_id=first))
    assert both.followed(nodes[0].key) == (everything - half, frozenset())
    assert both.followed(nodes[1].key) == (everything - half, half)
    assert nodes[0].endpoint(Transport.HTTPS, ip_version=6) is None
    assert nodes[0].endpoint(Transport.SEED) is None
    assert nodes[1].networks == {"10.0.1.0/24"}
