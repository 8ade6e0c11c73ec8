"""What is observed in pods is compared with the table of who talks to whom: planted connections, no cluster."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import yaml

from tests.charts.rendering import CHART
from tests.cluster.addresses import (
    Book,
    End,
    Pod,
    Socket,
    Talk,
    address_of,
    book_of,
    probed_ports,
    socket_of,
    spans,
)
from tests.cluster.connections import _WATCH, WrongConnections, check, unexpected, unseen
from tests.cluster.kubectl import Installed

TABLE: Final[Mapping[str, Any]] = yaml.safe_load((CHART / "talks.yaml").read_text("utf-8"))
LISTENING, ESTABLISHED, SYN_SENT, TIME_WAIT = "0A", "01", "02", "06"
KUBELET, STRANGER, GONE, GONE_SERVICE = "10.244.0.1", "203.0.113.7", "10.244.0.250", "10.96.0.99"
#: A pod and a Service of somebody else.
OTHERS, OTHERS_SERVICE = "10.244.0.200", "10.96.0.200"
PODS: Final = {
    "node-0": ("node", "10.244.0.10"),
    "node-1": ("node", "10.244.0.11"),
    "nats-0": ("nats", "10.244.0.20"),
    "nats-1": ("nats", "10.244.0.21"),
    "custodian-0": ("custodian", "10.244.0.30"),
    "operator-x": ("operator", "10.244.0.40"),
}
FIRST: Final = dict(reversed(PODS.values()))
SERVICES: Final = {"node-0": ("node", "10.96.0.50"), "seed": ("seed", "10.96.0.51"), "nats": ("nats", "None")}
MACHINE: Final = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}} | {
    "spec": {"podCIDR": "10.244.0.0/24"}
}
API: Final = (
    {"kind": "Service", "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}},
    {"kind": "Endpoints", "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 16443}]}]},
)
TOLD: Final = {"gateways": ["0100F40A"], "nameservers": ["10.96.0.10"]}
#: What the kubelet asks of nodes and of log servers.
PROBED: Final = {"node": frozenset({9101, 9102}), "nats": frozenset({8222})}


def _labelled(component: str, name: str, **more: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component, "app.kubernetes.io/instance": "naisho"}
    return {"metadata": {"name": name, "namespace": "here", "labels": labels}, **more}


def _pod(name: str) -> dict[str, Any]:
    component, address = PODS[name]
    probes = [{"readinessProbe": {"httpGet": {"port": port}}} for port in PROBED.get(component, ())]
    return _labelled(
        component, name, status={"phase": "Running", "podIPs": [{"ip": address}]}, spec={"containers": probes}
    )


def _services() -> list[dict[str, Any]]:
    return [_labelled(component, name, spec={"clusterIP": ip}) for name, (component, ip) in SERVICES.items()]


def _strangers() -> tuple[dict[str, Any], dict[str, Any]]:
    running = {"phase": "Running", "podIPs": [{"ip": OTHERS}]}
    return (
        {"metadata": {"name": "shop", "namespace": "elsewhere"}, "status": running, "spec": {"containers": []}},
        {"metadata": {"name": "shop", "namespace": "elsewhere"}, "spec": {"clusterIP": OTHERS_SERVICE}},
    )


@pytest.fixture(scope="module")
def book() -> Book:
    return book_of(
        table=TABLE,
        pods=map(_pod, PODS),
        services=_services(),
        strangers=[*map(_pod, PODS), *_services(), *_strangers()],
        machines=[MACHINE],
        api=API,
        told=[TOLD, TOLD],
    )


def _end(address: str, port: int) -> End:
    return End(ipaddress.ip_address(address), port)


def _seen(component: str, *sockets: Socket) -> Pod:
    """Return a pod with its doors open and these sockets."""
    doors = {
        Socket(_end("0.0.0.0", port), _end("0.0.0.0", 0), LISTENING) for port in TABLE["ports"][component].values()
    }
    return Pod(component, PROBED.get(component, frozenset()), frozenset(doors | set(sockets)))


def _in(component: str, port: int, source: str, state: str = ESTABLISHED) -> Pod:
    return _seen(component, Socket(_end(FIRST[component], port), _end(source, 40_001), state))


def _out(component: str, target: str, port: int, state: str = ESTABLISHED) -> Pod:
    return _seen(component, Socket(_end(FIRST[component], 40_002), _end(target, port), state))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0100007F", "127.0.0.1"),
        ("5A00F40A", "10.244.0.90"),
        ("0000000000000000FFFF00007200F40A", "10.244.0.114"),
        ("B80D01200000000067452301EFCDAB89", "2001:db8::123:4567:89ab:cdef"),
    ],
)
def test_addresses_are_read_as_the_kernel_writes_them(written: str, meant: str) -> None:
    assert address_of(written) == ipaddress.ip_address(meant)


def test_every_row_within_the_release_is_recognised_from_both_ends(book: Book) -> None:
    rows = [row for row in TABLE["talks"] if {row["from"], row["to"]} <= FIRST.keys()]
    assert rows
    for row in rows:
        for name in row["ports"]:
            wanted, number = Talk(row["from"], row["to"], name), TABLE["ports"][row["to"]][name]
            other = next(ip for component, ip in PODS.values() if component == row["to"] and ip != FIRST[row["from"]])
            assert book.talks(_out(row["from"], other, number)) == {wanted}
            source = next(ip for component, ip in PODS.values() if component == row["from"] and ip != FIRST[row["to"]])
            assert book.talks(_in(row["to"], number, source, TIME_WAIT)) == {wanted}


@pytest.mark.parametrize(
    ("pod", "talk"),
    [
        (_out("node", "10.96.0.50", 8444), ("node", "node", "hop")),
        (_out("node", "10.96.0.51", 8080), ("node", "node", "seed")),
        (_out("operator", "10.96.0.1", 443), ("operator", "api-server", "api")),
        (_out("operator", "192.0.2.1", 16443), ("operator", "api-server", "api")),
        (_out("nats", "10.96.0.10", 53), ("nats", "cluster-dns", "dns")),
        (_in("node", 8443, STRANGER), (STRANGER, "node", "https")),
        (_in("node", 8443, KUBELET), (KUBELET, "node", "https")),
        (_in("custodian", 9103, KUBELET), (KUBELET, "custodian", "metrics")),
        (_in("nats", 4222, GONE), (GONE, "nats", "client")),
        (_out("node", STRANGER, 443, TIME_WAIT), ("node", STRANGER, "443")),
        (_out("node", GONE, 4222, SYN_SENT), ("node", GONE, "4222")),
        (_out("node", GONE_SERVICE, 8444, SYN_SENT), ("node", GONE_SERVICE, "8444")),
        (_in("nats", 4222, OTHERS, TIME_WAIT), (OTHERS, "nats", "client")),
        (_out("node", OTHERS, 80, TIME_WAIT), ("node", OTHERS, "80")),
        (_out("node", OTHERS_SERVICE, 80, TIME_WAIT), ("node", OTHERS_SERVICE, "80")),
    ],
)
def test_both_ends_are_named(book: Book, pod: Pod, talk: tuple[str, str, str]) -> None:
    assert book.talks(pod) == {Talk(*talk)}


@pytest.mark.parametrize(
    "pod",
    [
        _in("node", 9101, KUBELET),
        _in("nats", 8222, "192.0.2.1"),
        _in("nats", 4222, GONE, TIME_WAIT),
        _out("node", GONE, 4222, TIME_WAIT),
        _out("node", GONE_SERVICE, 8444, TIME_WAIT),
        _out("node", "127.0.0.1", 9101),
        _out("node", FIRST["node"], 9101),
    ],
)
def test_probes_what_is_gone_and_what_stays_within_a_pod_are_passed_over(book: Book, pod: Pod) -> None:
    assert book.talks(pod) == set()


@pytest.mark.parametrize(
    "talk",
    [
        Talk("node", "nats", "monitor"),
        Talk("node", "nats", "cluster"),
        Talk("node", "node", "seed"),
        Talk("custodian", "node", "https"),
        Talk("node", "operator", "metrics"),
        Talk("node", "api-server", "api"),
        Talk("node", STRANGER, "443"),
        Talk(STRANGER, "nats", "client"),
        Talk(KUBELET, "custodian", "metrics"),
        Talk("monitoring", "node", "metrics-onion"),
        Talk("load", "nats", "monitor"),
        Talk("operator", "nats", "31337"),
    ],
)
def test_what_stands_in_no_row_that_holds_is_unexpected(talk: Talk) -> None:
    allowed = {Talk("node", "nats", "client"), Talk(STRANGER, "node", "https"), Talk("node", "cluster-dns", "dns")}
    assert unexpected({talk, *allowed}, TABLE) == [talk]


def test_conditions_let_rows_hold() -> None:
    talk = Talk("load", "nats", "monitor")
    assert unexpected({talk}, TABLE, {"bundled-nats", "load"}) == []
    assert unexpected({Talk("node", "nats", "client")}, TABLE, set()) == [Talk("node", "nats", "client")]


#: All that a healthy network shows.
HEALTHY: Final = {
    Talk("node", "node", "https"),
    Talk("node", "node", "hop"),
    Talk("node", "nats", "client"),
    Talk("custodian", "nats", "client"),
    Talk("operator", "nats", "client"),
    Talk("operator", "node", "metrics-onion"),
    Talk("operator", "node", "metrics-swarm"),
    Talk("nats", "nats", "cluster"),
}
WATCHED: Final = frozenset({"node", "nats", "custodian", "operator"})


def test_a_row_that_nobody_uses_is_unseen() -> None:
    assert unseen(HEALTHY, TABLE, WATCHED) == []
    for talk in HEALTHY:
        assert unseen(HEALTHY - {talk}, TABLE, WATCHED) == [talk]


def test_rows_whose_ends_were_not_watched_are_not_missed() -> None:
    assert unseen(HEALTHY, TABLE, WATCHED | {"test"}) == [Talk("test", "node", "https"), Talk("test", "node", "seed")]
    assert unseen(set(), TABLE, {"node"}) == [Talk("node", "node", "hop"), Talk("node", "node", "https")]
    assert Talk("load", "nats", "monitor") in unseen(HEALTHY, TABLE, WATCHED | {"load"}, {"bundled-nats", "load"})
    assert Talk("load", "nats", "monitor") not in unseen(HEALTHY, TABLE, WATCHED | {"load"})


def test_the_span_of_addresses_is_as_small_as_it_may_be() -> None:
    few = map(ipaddress.ip_address, ["10.96.0.1", "10.96.200.3", "2001:db8::1"])
    assert list(map(str, spans(list(few)))) == ["10.96.0.0/16", "2001:db8::1/128"]
    assert spans([]) == []


def test_probed_ports_are_found_by_number_and_by_name() -> None:
    container = {
        "ports": [{"name": "metrics", "containerPort": 9103}],
        "livenessProbe": {"httpGet": {"port": "metrics"}},
        "startupProbe": {"tcpSocket": {"port": 4222}},
    }
    assert probed_ports({"containers": [container, {"readinessProbe": {"exec": {}}}]}) == {9103, 4222}


def test_the_watcher_tells_of_real_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        said = subprocess.run(
            [sys.executable, "-c", _WATCH, "0"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        here, there = End(*_parsed(server.getsockname())), End(*_parsed(client.getsockname()))
    told = json.loads(said)
    found = {socket_of(*row[1:]) for row in told["sockets"]}
    assert Socket(here, _end("0.0.0.0", 0), LISTENING) in found
    assert {Socket(here, there, ESTABLISHED), Socket(there, here, ESTABLISHED)} <= found
    assert told.keys() == TOLD.keys() | {"sockets"}


def _parsed(name: tuple[str, int]) -> tuple[Any, int]:
    return ipaddress.ip_address(name[0]), name[1]


@dataclass(frozen=True)
class Played(Installed):
    """A network whose pods say what they are told to.

    Attributes:
        rounds: for each time that a pod is watched, its sockets as (local, remote, state); the last one stays.
    """

    rounds: dict[str, list[list[tuple[str, str, str]]]] = field(default_factory=dict)

    async def kubectl(self, *arguments: str) -> str:
        if arguments[0] == "exec":
            rounds = self.rounds.get(arguments[1], [[]])
            rows = rounds.pop(0) if len(rounds) > 1 else rounds[0]
            return json.dumps({"sockets": [("tcp", *row) for row in rows], **TOLD})
        objects = {
            "pods": [*map(_pod, PODS), _labelled("test", "done", status={"phase": "Succeeded"}), _strangers()[0]],
            "services": [*_services(), _strangers()[1]],
            "nodes": [MACHINE],
            "services,endpoints": API,
        }
        return json.dumps({"items": objects[arguments[1]]})


def _written(end: str) -> str:
    address, _, port = end.partition(":")
    return f"{ipaddress.IPv4Address(address).packed[::-1].hex().upper()}:{int(port):04X}"


def _rows(*sockets: tuple[str, str]) -> list[tuple[str, str, str]]:
    return [(_written(local), _written(remote), ESTABLISHED) for local, remote in sockets]


def _healthy() -> dict[str, list[list[tuple[str, str, str]]]]:
    node = _rows(
        ("10.244.0.10:40001", "10.244.0.20:4222"),
        ("10.244.0.10:40002", "10.244.0.11:8443"),
        ("10.244.0.10:40003", "10.244.0.11:8444"),
    )
    return {
        "node-0": [_rows(), node],  # what a first look does not find, a second one may
        "nats-0": [_rows(("10.244.0.20:40001", "10.244.0.21:6222"))],
        "custodian-0": [_rows(("10.244.0.30:40001", "10.244.0.20:4222"))],
        "operator-x": [
            _rows(
                ("10.244.0.40:40001", "10.244.0.21:4222"),
                ("10.244.0.40:40002", "10.244.0.10:9101"),
                ("10.244.0.40:40003", "10.244.0.10:9102"),
            )
        ],
    }


async def test_a_network_that_keeps_to_the_table_passes(capsys: pytest.CaptureFixture[str]) -> None:
    await check(Played("here", CHART, "naisho", _healthy()))
    assert "8 ways in use" in capsys.readouterr().out


async def test_a_connection_too_many_is_told() -> None:
    rounds = _healthy()
    rounds["custodian-0"] = [_rows(("10.244.0.30:40001", "203.0.113.7:443"))]
    with pytest.raises(WrongConnections, match=r"in no row.*: custodian → 203\.0\.113\.7 443$"):
        await check(Played("here", CHART, "naisho", rounds))


async def test_somebody_elses_pod_in_a_log_server_is_told() -> None:
    rounds = _healthy()
    doors = [(f"00000000:{4222:04X}", "00000000:0000", LISTENING)]
    rounds["nats-1"] = [[*doors, (_written("10.244.0.21:4222"), _written(f"{OTHERS}:40001"), TIME_WAIT)]]
    with pytest.raises(WrongConnections, match=r"in no row.*: 10\.244\.0\.200 → nats client$"):
        await check(Played("here", CHART, "naisho", rounds))


async def test_a_row_too_many_is_told() -> None:
    rounds = _healthy()
    del rounds["nats-0"]
    with pytest.raises(WrongConnections, match=r"never used: nats → nats cluster$"):
        await check(Played("here", CHART, "naisho", rounds))
