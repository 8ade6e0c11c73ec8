"""How clients reach nodes is changed node by node: nobody's address goes before its node can tell the new one."""

from __future__ import annotations

from collections import Counter

from tests.integration.operator.api_store import Manifest
from tests.integration.operator.install import FEW_NODES, INSTALL, Install


def balanced(install: Install) -> list[Manifest]:
    return [service for service in install.store.list("services") if service["spec"]["type"] == "LoadBalancer"]


def swarm_of(install: Install, service: Manifest) -> str:
    swarm: str = install.node(service["metadata"]["name"])["status"]["swarm"]
    return swarm


def give_addresses(install: Install) -> None:
    """Play the cloud: each load balancer gets an address."""
    for service in balanced(install):
        name = service["metadata"]["name"]
        if not service["status"].get("loadBalancer"):
            point = {"ip": f"203.0.113.{1 + int(name.rpartition('-')[2])}"}
            install.store.put_status("services", name, loadBalancer={"ingress": [point]})


async def test_addresses_change_one_node_of_a_swarm_at_a_time(install: Install) -> None:
    install.bring()
    operator = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    before = {name: install.node(name)["status"]["address"] for name in install.store.names("servicenodes")}
    swarms = {node["status"]["swarm"] for node in install.store.list("servicenodes")}

    install.store.merge("nodepools", INSTALL, {"spec": {"exposure": {"type": "LoadBalancer"}}})
    await install.until(lambda: len(balanced(install)) == len(swarms))
    await install.turns(operator, 4)
    waiting = balanced(install)
    assert {swarm_of(install, service) for service in waiting} == swarms, "one of each waits for its balancer"
    assert len(waiting) == len(swarms)
    assert {name: install.node(name)["status"]["address"] for name in before} == before, "all tell what is true"
    assert install.phases() == {"Active": FEW_NODES}

    most = Counter[str]()

    def whole() -> bool:
        pending = Counter(swarm_of(install, s) for s in balanced(install) if not s["status"].get("loadBalancer"))
        most.update({swarm: count - most[swarm] for swarm, count in pending.items() if count > most[swarm]})
        give_addresses(install)
        return len(balanced(install)) == FEW_NODES and install.whole(FEW_NODES)

    await install.until(whole)
    assert set(most.values()) == {1}
    for name in before:
        number = int(name.rpartition("-")[2])
        assert install.node(name)["status"]["address"] == f"203.0.113.{number + 1}:8443"
