"""The binary node list against its vector."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol.errors import BadNodeList
from naisho.protocol.node_list import RECORD_BYTES, NodeRecord, decode, encode


@pytest.fixture
def record(vectors: dict[str, Any]) -> NodeRecord:
    fields = vectors["active_nodes_bin_record"]["fields"]
    key, (major, minor, patch) = bytes.fromhex(fields["pubkey_ed25519"]), fields["version"]
    swarm, version = int(fields["swarm_id"]), (major, minor, patch)
    return NodeRecord(key, swarm, fields["ip"], fields["https_port"], fields["quic_port"], version)


def test_a_record(vectors: dict[str, Any], record: NodeRecord) -> None:
    raw = bytes.fromhex(vectors["active_nodes_bin_record"]["record_hex"])
    assert len(raw) == RECORD_BYTES
    assert encode([record]) == raw
    assert decode(raw) == [record]
    assert decode(raw * 3) == [record] * 3
    assert decode(b"") == []
    assert record.usable


@pytest.mark.parametrize("length", [1, 50, 52, 101])
def test_lists_of_odd_length_are_refused_whole(length: int) -> None:
    with pytest.raises(BadNodeList):
        decode(bytes(length))


def test_a_list_of_absurd_length_is_refused() -> None:
    with pytest.raises(BadNodeList):
        decode(bytes(RECORD_BYTES * 50_001))


def test_records_that_clients_drop(record: NodeRecord) -> None:
    for change in ({"ip": "0.0.0.0"}, {"quic_port": 0}, {"version": (0, 0, 0)}):
        fields = {name: getattr(record, name) for name in record.__slots__} | change
        dropped = NodeRecord(**fields)
        assert not dropped.usable
        assert decode(encode([dropped])) == [dropped]


def test_version_parts_are_capped(record: NodeRecord) -> None:
    large = NodeRecord(record.ed25519, 1, record.ip, 1, 1, (2, 300, 70_000))
    assert decode(encode([large]))[0].version == (2, 255, 255)


@pytest.mark.parametrize(
    "change",
    [
        {"ed25519": bytes(31)},
        {"ed25519": bytes(33)},
        {"swarm_id": -1},
        {"swarm_id": 2**64},
        {"ip": "2001:db8::1"},
        {"ip": ""},
        {"https_port": 65_536},
        {"quic_port": -1},
        {"version": (-1, 0, 0)},
    ],
)
def test_fields_that_do_not_fit(change: dict[str, Any], record: NodeRecord) -> None:
    fields = {name: getattr(record, name) for name in record.__slots__} | change
    with pytest.raises(BadNodeList):
        encode([NodeRecord(**fields)])
