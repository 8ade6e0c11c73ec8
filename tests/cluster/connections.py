"""The connections of an installed network, seen from within its pods, beside the chart's table of who talks to whom.

For networks as the trial installs them: NATS bundled, nodes exposed by ClusterIP. Let the network be whole and under
load, and let its pool scale by its own policy: only then does the operator ask the nodes what they have to do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import yaml

from tests.cluster.addresses import Pod, Talk, book_of, component, probed_ports, socket_of
from tests.cluster.kubectl import Installed

#: Conditions of the table that hold where the trial installs.
HOLDING: Final = frozenset({"bundled-nats"})
#: How long each pod is watched in one round, and how many rounds may pass until every row was seen.
WATCHED_S: Final = 10.0
ROUNDS: Final = 9
#: As it stands in /proc/net: a datagram socket that belongs to nobody.
_CLOSED: Final = "07"

#: Runs in a pod, with that pod's own Python: every socket that it had within some seconds, and what it is told of its
#: surroundings. All containers of a pod share one network, so one container tells of all.
_WATCH: Final = """
import json, sys, time
seen, end = set(), time.monotonic() + float(sys.argv[1])
while True:
    for family in ("tcp", "tcp6", "udp", "udp6"):
        try:
            rows = open("/proc/net/" + family).read().splitlines()[1:]
        except FileNotFoundError:
            continue
        seen.update((family, *row.split()[1:4]) for row in rows)
    if time.monotonic() > end:
        break
    time.sleep(0.25)
routes = [row.split() for row in open("/proc/net/route").read().splitlines()[1:]]
names = [row.split() for row in open("/etc/resolv.conf").read().splitlines()]
print(json.dumps({
    "sockets": sorted(seen),
    "gateways": sorted({row[2] for row in routes if row[1] == "00000000"}),
    "nameservers": sorted({row[1] for row in names if row[:1] == ["nameserver"]}),
}))
"""


class WrongConnections(Exception):
    """The table and the network differ; the text says in what."""


def unexpected(observed: Iterable[Talk], table: Mapping[str, Any], holding: Collection[str] = HOLDING) -> list[Talk]:
    """Return what was observed and stands in no row that holds."""
    allowed = {
        Talk(row["from"], row["to"], port)
        for row in table["talks"]
        if row.get("when") is None or row["when"] in holding
        for port in row["ports"]
    }
    return sorted(talk for talk in set(observed) if _in_words(talk, table) not in allowed)


def unseen(
    observed: Iterable[Talk],
    table: Mapping[str, Any],
    watched: Collection[str],
    holding: Collection[str] = HOLDING,
) -> list[Talk]:
    """Return the ports of rows that nobody used.

    Left out are rows whose condition does not hold, and rows with an end that was not watched: peers outside (nobody
    may have come, names are asked for by datagrams that last a millisecond), and jobs that did not run.
    """
    wanted = {
        Talk(row["from"], row["to"], port)
        for row in table["talks"]
        if (row.get("when") is None or row["when"] in holding) and {row["from"], row["to"]} <= set(watched)
        for port in row["ports"]
    }
    return sorted(wanted - set(observed))


async def check(network: Installed) -> None:
    """Watch all pods until every row was seen; print what was.

    Raises:
        WrongConnections: somebody talks who may not, or a row is never used.
    """
    table = yaml.safe_load((network.chart / "talks.yaml").read_text("utf-8"))
    observed: set[Talk] = set()
    missing: list[Talk] = []
    for _ in range(ROUNDS):
        talks, watched = await observe(network, table)
        observed |= talks
        if wrong := unexpected(observed, table):
            raise WrongConnections(f"in no row of talks.yaml: {_said(wrong)}")
        if not (missing := unseen(observed, table, watched)):
            ways = sorted({_in_words(talk, table) for talk in observed})
            sys.stdout.write(f"  {len(ways)} ways in use, all of the table: {_said(ways)}\n")
            return
    raise WrongConnections(f"in talks.yaml, but never used: {_said(missing)}")


async def observe(network: Installed, table: Mapping[str, Any]) -> tuple[set[Talk], frozenset[str]]:
    """Watch all pods of a release for some seconds; return who talked to whom, and which components were watched."""
    pods, services, machines, api = await asyncio.gather(
        network.get("pods", "--all-namespaces"),
        network.get("services", "--all-namespaces"),
        network.get("nodes"),
        network.get("services,endpoints", "--namespace=default", "--field-selector=metadata.name=kubernetes"),
    )
    everybody = [item for item in pods["items"] if item["status"]["phase"] == "Running"]
    running = [item for item in everybody if _ours(network, item)]
    told = await asyncio.gather(*(_watch(network, item["metadata"]["name"]) for item in running))
    book = book_of(
        table=table,
        pods=running,
        services=[item for item in services["items"] if _ours(network, item)],
        strangers=[*everybody, *services["items"]],
        machines=machines["items"],
        api=api["items"],
        told=told,
    )
    talks: set[Talk] = set()
    for item, one in zip(running, told, strict=True):
        sockets = frozenset(socket_of(*row[1:]) for row in one["sockets"] if row[3] != _CLOSED)
        talks |= book.talks(Pod(component(item), probed_ports(item["spec"]), sockets))
    return talks, frozenset(map(component, running))


def _ours(network: Installed, item: Mapping[str, Any]) -> bool:
    metadata = item["metadata"]
    instance = metadata.get("labels", {}).get("app.kubernetes.io/instance")
    return bool(metadata["namespace"] == network.namespace and instance == network.release)


async def _watch(network: Installed, pod: str) -> Any:
    return json.loads(await network.kubectl("exec", pod, "--", "python", "-c", _WATCH, str(WATCHED_S)))


def _in_words(talk: Talk, table: Mapping[str, Any]) -> Talk:
    """Return it with every stranger who came in as the table calls them."""
    return talk if talk.source in table["ports"] else talk._replace(source="anybody")


def _said(talks: Iterable[Talk]) -> str:
    return ", ".join(f"{talk.source} → {talk.target} {talk.port}" for talk in talks)
