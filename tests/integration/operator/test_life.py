"""An install through its life, with everything real but Kubernetes and the mail."""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter

from operators.membership.kube.instruments import INSTRUMENTS
from tests.integration.operator.api_store import Change, Manifest
from tests.integration.operator.install import FEW_NODES, INSTALL, Install

DRAIN = "naisho.dev/drain"
SKIP_DRAIN = "naisho.dev/skip-drain"


def keys(install: Install) -> dict[str, str]:
    return {name: entry["key"] for name, entry in install.register().items()}


def carry_no_finalizer(install: Install) -> bool:
    return not any(there["metadata"].get("finalizers") for there in install.store.every())


def drained(install: Install) -> set[str]:
    return {name for name, entry in install.register().items() if entry["drained"]}


def scale(install: Install, replicas: int) -> None:
    """As ``kubectl scale`` does."""
    install.store.merge("nodepools", INSTALL, {"spec": {"replicas": replicas}})


def annotate(install: Install, node: str, note: str) -> None:
    install.store.merge("servicenodes", node, {"metadata": {"annotations": {note: "true"}}})


async def test_an_install_becomes_whole_and_then_nothing_is_written(install: Install) -> None:
    install.bring(15)
    operator = install.start_operator()
    await install.until(lambda: install.whole(15))
    assert sum(swarm["members"] for swarm in install.status["swarms"]) == 15
    budgets = {f"{INSTALL}-swarm-{swarm['id']}" for swarm in install.status["swarms"]}
    await install.until(lambda: install.store.names("poddisruptionbudgets") == budgets)
    pods = install.store.list("pods")
    assert {pod["metadata"]["labels"]["naisho.dev/state"] for pod in pods} == {"Active"}
    assert {pod["metadata"]["labels"]["naisho.dev/swarm"] for pod in pods} == {
        s["id"] for s in install.status["swarms"]
    }
    assert carry_no_finalizer(install)
    await install.settled(operator)
    writes = install.writes_of_work()
    await install.turns(operator, 3)
    assert install.writes_of_work() == writes
    page = await asyncio.to_thread(read_metrics, operator.service._telemetry.port)
    for instrument in INSTRUMENTS:
        assert f"# HELP {instrument.name}" in page, instrument.name
    assert 'naisho_operator_nodes{node="0",service="operator",state="active"} 15.0' in page
    assert 'naisho_operator_leader{node="0",service="operator"} 1.0' in page


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


async def test_a_pool_grows_and_shrinks_and_ordinals_are_never_given_twice(install: Install) -> None:
    install.bring(15)
    install.start_operator()
    await install.until(lambda: install.whole(15))
    first = keys(install)
    scale(install, 18)
    await install.until(lambda: install.whole(18))
    scale(install, 15)
    await install.until(lambda: install.whole(15))
    gone = drained(install)
    assert len(gone) == 3
    assert keys(install).items() >= first.items()
    for name in gone:
        assert install.store.find("secrets", f"{name}-keys"), "a key is kept"
        assert install.store.find("persistentvolumeclaims", f"data-{name}-0"), "so is a volume"
        for plural, left in (("secrets", f"{name}-nats"), ("statefulsets", name), ("services", name)):
            assert install.store.find(plural, left) is None
    scale(install, 16)
    await install.until(lambda: install.whole(16))
    assert set(keys(install)) == {f"{INSTALL}-{ordinal}" for ordinal in range(19)}
    assert drained(install) == gone


async def test_a_node_in_the_middle_is_drained_and_replaced(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    annotate(install, "talk-5", DRAIN)
    await install.until(lambda: drained(install) == {"talk-5"} and install.whole(FEW_NODES))
    assert install.store.names("servicenodes") == {f"{INSTALL}-{n}" for n in range(FEW_NODES + 1)} - {"talk-5"}


async def test_a_node_that_holds_a_drain_up_is_skipped_if_somebody_says_so(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    swarm = install.node("talk-3")["status"]["swarm"]
    others = [name for name in install.store.names("servicenodes") - {"talk-3"} if in_swarm(install, name, swarm)]
    install.machinery.set_behind(others[0], behind=True)
    annotate(install, "talk-3", DRAIN)
    await install.until(lambda: install.node("talk-3")["status"]["phase"] == "Draining")
    annotate(install, "talk-3", SKIP_DRAIN)
    await install.until(lambda: install.store.find("servicenodes", "talk-3") is None)
    install.machinery.set_behind(others[0], behind=False)
    await install.until(lambda: install.whole(FEW_NODES))


def in_swarm(install: Install, name: str, swarm: str) -> bool:
    return bool(install.node(name)["status"]["swarm"] == swarm)


async def test_a_pod_and_a_resource_that_somebody_deletes_come_back_as_they_were(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    before = keys(install)
    old = install.store.get("pods", "talk-2-0")
    install.store.delete("pods", "talk-2-0")
    await install.until(lambda: is_new(install, "pods", old) and install.whole(FEW_NODES))
    labels = install.store.get("pods", "talk-2-0")["metadata"]["labels"]
    await install.until(lambda: install.store.get("pods", "talk-2-0")["metadata"]["labels"].get("naisho.dev/swarm"))
    assert labels["naisho.dev/node"] == "talk-2"
    resource = install.store.get("servicenodes", "talk-4")
    install.store.delete("servicenodes", "talk-4")
    await install.until(lambda: is_new(install, "servicenodes", resource) and install.whole(FEW_NODES))
    assert keys(install) == before
    assert drained(install) == set()


def is_new(install: Install, plural: str, old: Manifest) -> bool:
    there = install.store.find(plural, old["metadata"]["name"])
    return there is not None and there["metadata"]["uid"] != old["metadata"]["uid"]


async def test_a_lost_volume_is_replaced(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    claim = install.store.get("persistentvolumeclaims", "data-talk-1-0")
    pod = install.store.get("pods", "talk-1-0")
    install.store.put_status("persistentvolumeclaims", "data-talk-1-0", phase="Lost")
    await install.until(lambda: is_new(install, "persistentvolumeclaims", claim) and is_new(install, "pods", pod))
    await install.until(lambda: install.whole(FEW_NODES))


async def test_an_operator_that_comes_in_the_middle_of_a_drain_goes_on(install: Install) -> None:
    install.bring()
    first = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    swarm = install.node("talk-5")["status"]["swarm"]
    slow = next(name for name in install.store.names("servicenodes") - {"talk-5"} if in_swarm(install, name, swarm))
    install.machinery.set_behind(slow, behind=True)
    annotate(install, "talk-5", DRAIN)
    await install.until(lambda: install.node("talk-5")["status"]["phase"] == "Draining")
    await install.stop_operator(first, killed=True)
    assert drained(install) == set()
    install.start_operator(pod="another")
    install.machinery.set_behind(slow, behind=False)
    await install.until(lambda: drained(install) == {"talk-5"} and install.whole(FEW_NODES))
    assert install.store.get("leases", f"{INSTALL}-operator")["spec"]["holderIdentity"] == "another"


async def test_an_upgrade_takes_one_node_of_a_swarm_at_a_time(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    swarms = {name: install.node(name)["status"]["swarm"] for name in install.store.names("servicenodes")}
    away: set[str] = set()
    worst: Counter[str] = Counter()

    def watch(change: Change) -> None:
        if change.plural == "pods":
            name = change.there["metadata"]["labels"]["naisho.dev/node"]
            conditions = {c["type"]: c["status"] for c in change.there["status"].get("conditions") or ()}
            well = change.event != "DELETED" and conditions.get("Ready") == "True"
            (away.discard if well else away.add)(name)
            worst.update() if not away else worst.__ior__(Counter(swarms[name] for name in away))

    install.store.observers.append(watch)
    install.store.merge("nodepools", INSTALL, {"spec": {"image": "naisho:2"}})
    await install.until(lambda: images(install) == {"naisho:2"} and install.whole(FEW_NODES), within_s=55)
    assert set(worst.values()) == {1}


def images(install: Install) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in install.store.list("pods")}


async def test_an_image_that_cannot_be_pulled_stops_at_one_node_of_a_swarm_and_is_taken_back(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    install.store.merge("nodepools", INSTALL, {"spec": {"image": "naisho:broken"}})
    await install.until(lambda: Counter(broken_swarms(install)).most_common() == [(s, 1) for s in swarm_ids(install)])
    install.store.merge("nodepools", INSTALL, {"spec": {"image": "naisho:1"}})
    await install.until(lambda: images(install) == {"naisho:1"} and install.whole(FEW_NODES))


def swarm_ids(install: Install) -> list[str]:
    return [swarm["id"] for swarm in install.status["swarms"]]


def broken_swarms(install: Install) -> list[str]:
    """Return the swarm of each node whose pod has the broken image."""
    pods = [pod for pod in install.store.list("pods") if "broken" in pod["spec"]["containers"][0]["image"]]
    return sorted(install.node(pod["metadata"]["labels"]["naisho.dev/node"])["status"]["swarm"] for pod in pods)


async def test_a_new_install_on_what_an_old_one_left_is_the_same_network(install: Install) -> None:
    install.bring()
    operator = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    network, before = install.status["networkId"], keys(install)
    await install.stop_operator(operator)
    install.uninstall()
    for plural in ("nodepools", "servicenodes", "statefulsets", "services", "pods", "poddisruptionbudgets"):
        assert install.store.names(plural) == set(), "nothing hangs, nothing is left"
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    assert install.status["networkId"] == network
    assert keys(install) == before
    assert carry_no_finalizer(install)


async def test_an_operator_that_is_restarted_writes_nothing_where_nothing_changed(install: Install) -> None:
    install.bring()
    operator = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    await install.settled(operator)
    await install.stop_operator(operator)
    before = len(install.writes_of_work())
    operator = install.start_operator()
    await install.until(lambda: operator.service.lifecycle.ready)
    await install.settled(operator)
    assert install.writes_of_work()[before:] == []


async def test_a_log_that_is_away_is_told_of_once_and_nodes_keep_what_was_known(install: Install) -> None:
    install.bring()
    operator = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    await install.settled(operator)
    nodes = {name: install.node(name)["status"] for name in install.store.names("servicenodes")}
    known = dict(install.status)
    before = len(install.writes_of_work())
    install.log.stop()
    await install.until(lambda: install.condition("Ready") == "LogUnreachable")
    assert {name: install.node(name)["status"] for name in nodes} == nodes
    assert [install.status[field] for field in ("networkId", "epoch", "swarms")] == [
        known[field] for field in ("networkId", "epoch", "swarms")
    ]
    assert {resource for _, resource, _ in install.writes_of_work()[before:]} <= {"nodepools/status", "events"}
    await install.log.start_async()
    await install.until(lambda: install.whole(FEW_NODES))
