"""``get_service_nodes`` (wire 2.1)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from naisho.protocol.ring import INVALID_SWARM
from naisho.protocol.service_nodes import BadListRequest, ServiceNode, block_hash, service_nodes_result

NODES = [
    ServiceNode(bytes([n]) * 32, bytes([n + 50]) * 32, f"10.0.0.{n}", 22021, 22020, 2**57 - 1, (2, 11, 0))
    for n in range(1, 15)
] + [ServiceNode(b"\xff" * 32, b"\xfe" * 32, "10.0.0.99", 22021, 22020, INVALID_SWARM, (2, 11, 0))]


def result(height: int = 9, **params: Any) -> dict[str, Any]:
    return service_nodes_result(NODES, params, height=height, rng=Random(3))


def keys(**params: Any) -> list[str]:
    return [state["pubkey_ed25519"] for state in result(**params)["service_node_states"]]


ALL = [node.ed25519.hex() for node in NODES]


def test_everything() -> None:
    answer = result()
    states = answer.pop("service_node_states")
    assert answer == {
        "status": "OK",
        "height": 9,
        "target_height": 9,
        "block_hash": block_hash(9),
        "hardfork": 19,
        "snode_revision": 6,
    }
    assert states[0] == {
        "service_node_pubkey": "01" * 32,
        "pubkey_ed25519": "01" * 32,
        "pubkey_x25519": "33" * 32,
        "public_ip": "10.0.0.1",
        "storage_port": 22021,
        "storage_lmq_port": 22020,
        "quorumnet_port": 22020,
        "active": True,
        "funded": True,
        "swarm_id": 2**57 - 1,
        "swarm": "1ffffffffffffff",
        "requested_unlock_height": 0,
        "registration_height": 0,
        "state_height": 9,
        "decommission_count": 0,
        "earned_downtime_blocks": 0,
        "last_uptime_proof": 0,
        "storage_server_version": [2, 11, 0],
        "lokinet_version": [0, 0, 0],
        "service_node_version": [2, 11, 0],
        "storage_server_reachable": True,
    }
    assert (states[-1]["active"], states[-1]["swarm_id"]) == (False, 2**64 - 1)
    assert [state["pubkey_ed25519"] for state in states] == ALL


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"public_ip": True, "storage_port": True, "height": True}, {"public_ip", "storage_port"}),
        ({"public_ip": True, "storage_port": False}, {"public_ip"}),
        (["pubkey_ed25519", "no_such"], {"pubkey_ed25519"}),
        (["-active", "funded"], {"funded"}),
    ],
)
def test_chosen_fields(fields: Any, expected: set[str]) -> None:
    assert all(state.keys() == expected for state in result(fields=fields)["service_node_states"])


@pytest.mark.parametrize("fields", [None, {}, [], {"all": True}, {"all": True, "active": True}, ["all"], ["all", "x"]])
def test_all_fields(fields: Any) -> None:
    assert result(fields=fields) == result()


def test_all_fields_but_some() -> None:
    states = result(fields=["all", "-public_ip", "-funded"])["service_node_states"]
    assert states[0].keys() == result()["service_node_states"][0].keys() - {"public_ip", "funded"}


def test_active_only() -> None:
    assert keys(active_only=True) == ALL[:-1]
    assert keys(active_only=False) == ALL


def test_chosen_nodes() -> None:
    assert keys(service_node_pubkeys=[ALL[3].upper(), ALL[1], "00" * 32]) == [ALL[1], ALL[3]]
    assert keys(service_node_pubkeys=[]) == ALL


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (5, 5), (15, 15), (16, 15), (10**30, 15), (-1, 15)])
def test_a_limit_draws_a_sample(limit: int, count: int) -> None:
    drawn = keys(limit=limit)
    assert len(drawn) == len(set(drawn)) == count
    assert set(drawn) <= set(ALL)
    assert count == 1 or drawn != ALL[:count]


def test_a_limit_of_zero_is_none() -> None:
    assert keys(limit=0) == ALL


def test_polling_by_block_hash() -> None:
    changed = result(poll_block_hash=block_hash(8))
    assert changed["unchanged"] is False
    assert len(changed["service_node_states"]) == 15
    same = result(poll_block_hash=block_hash(9))
    assert same["unchanged"] is True
    assert "service_node_states" not in same


@pytest.mark.parametrize(
    "params",
    [
        {"fields": "all"},
        {"fields": 7},
        {"fields": [7]},
        {"fields": ""},
        {"limit": "5"},
        {"limit": 1.5},
        {"limit": True},
        {"active_only": 1},
        {"service_node_pubkeys": "00" * 32},
        {"service_node_pubkeys": [1]},
    ],
)
def test_parameters_of_the_wrong_type(params: dict[str, Any]) -> None:
    with pytest.raises(BadListRequest, match="Invalid value given for"):
        result(**params)
