"""The plan of a local network: ports, shares, and what is read back."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from operators.local import plan as plans
from operators.local import ports
from operators.local.errors import BrokenHome


def make_plan(nodes: int = 15, seeds: int = 2) -> plans.NetworkPlan:
    made = plans.new_plan(range(20_000, 20_000 + plans.ports_needed(nodes, seeds)), nodes=nodes, seeds=seeds)
    return replace(made, processes=2)


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = make_plan()
    assert plans.parse(plans.render(plan)) == plan


def test_every_port_is_used_once_and_can_be_replaced() -> None:
    plan = make_plan()
    assert len(set(plan.ports())) == len(plan.ports()) == plans.ports_needed(15, 2)
    moved = plan.with_ports([port + 1000 for port in plan.ports()])
    assert moved.ports() == [port + 1000 for port in plan.ports()]
    assert moved.with_ports(plan.ports()) == plan


def test_every_process_has_a_port_for_telemetry_and_keeps_it() -> None:
    plan = make_plan(nodes=3)
    assert plan.untold() == ["network", "nodes-0", "nodes-1"]
    told = plan.with_telemetry([1, 2, 3])
    assert told.telemetry == {"network": 1, "nodes-0": 2, "nodes-1": 3}
    assert told.ports() == [*plan.ports(), 1, 2, 3]
    assert told.with_ports(told.ports()) == told
    assert plans.parse(plans.render(told)) == told
    fewer = replace(told, processes=1)
    assert fewer.untold() == []
    assert fewer.with_telemetry([]).telemetry == {"network": 1, "nodes-0": 2}
    apart = replace(told, separate_roles=True)
    assert len(apart.untold()) == 6
    assert apart.with_telemetry(range(10, 16)).telemetry["network"] == 1


def test_nodes_are_shared_out_evenly() -> None:
    shares = make_plan().shares()
    assert [len(share) for share in shares] == [8, 7]
    assert sorted(node.index for share in shares for node in share) == list(range(15))


def test_three_families_share_the_nodes() -> None:
    families = [node.family for node in make_plan().nodes]
    assert {families.count(family) for family in families} == {5}


def test_a_network_too_small_for_a_swarm_is_not_planned() -> None:
    with pytest.raises(ValueError, match="a swarm needs 3 nodes"):
        make_plan(nodes=2)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 99, "nodes": []}'])
def test_a_damaged_plan_says_what_to_do(text: str) -> None:
    with pytest.raises(BrokenHome, match="--fresh"):
        plans.parse(text)


def test_ports_are_kept_while_they_are_free() -> None:
    with socket.socket() as busy:
        busy.bind((ports.HOST, 0))
        busy.listen()
        taken = busy.getsockname()[1]
        free = ports.choose(1, taken=[taken])[0]
        kept, replaced = ports.keep_or_choose([free, taken])
    assert kept == free
    assert replaced != taken
    assert ports.is_free(taken)


def test_chosen_ports_are_distinct() -> None:
    assert len(set(ports.choose(40))) == 40


def test_every_process_hosts_its_nodes_under_its_own_name() -> None:
    shared = make_plan()
    assert {name: len(nodes) for name, nodes in shared.hosts().items()} == {"nodes-0": 8, "nodes-1": 7}
    apart = replace(shared, separate_roles=True).hosts()
    assert list(apart)[:4] == ["swarm-00", "onion-00", "swarm-01", "onion-01"]
    assert {name: node.index for name, (node,) in apart.items()} == {
        f"{role}-{index:02d}": index for index in range(15) for role in plans.ROLES
    }
