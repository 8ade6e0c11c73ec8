"""An acknowledged store is on disks: what the log's server says of itself, and what it and a node ask of the kernel."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from naisho.protocol.account import AccountKeys
from operators.local.nats_server import free_port
from tests.chaos.accidents import OPTIONS, UNHURRIED, Place, StruckNetwork
from tests.chaos.mailboxes import ask, http_client, now_ms
from tests.chaos.system_calls import SystemCall, Trace, traced, why_not

SYNCS = {"fsync", "fdatasync"}
WRITES = {"write", "writev", "pwrite64", "pwritev"}
RECEIVES = {"read", "readv", "recvfrom", "recvmsg"}
SENDS = {"write", "writev", "sendto", "sendmsg"}
#: Where mail lies: in the log, and on the node that is asked.
LOG, STORE = re.compile(r"/MAIL_[^/]*/msgs/\d+\.blk$"), re.compile(r"/node-00/store/mailboxes\.sqlite(-wal)?$")


@pytest.fixture(scope="module")
def monitor_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, monitor_port: int) -> Iterator[StruckNetwork]:
    """Three nodes in one swarm, every role its own process; the log's server has status pages."""
    home = tmp_path_factory.mktemp("fsync") / "network"
    with StruckNetwork(
        home, *OPTIONS, settings={"onion": UNHURRIED, "nats": {"monitor_port": monitor_port}}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def tracing() -> None:
    """Skip where no process may be traced."""
    if reason := why_not():
        pytest.skip(reason)


def test_the_log_server_reports_that_it_syncs_always(network: StruckNetwork, monitor_port: int) -> None:
    page = httpx.get(f"http://127.0.0.1:{monitor_port}/varz", trust_env=False).raise_for_status().json()
    assert page["server_name"] == network.status["network"]
    config = page["jetstream"]["config"]
    assert Path(config["store_dir"]).parent == network.log_folder
    assert config["sync_always"] is True
    print(f"\nnats-server {page['version']} reports sync_always={config['sync_always']} for {config['store_dir']}")


async def serve_one(network: StruckNetwork, place: Place, method: str, output: Path) -> tuple[Trace, str]:
    """Trace the log's server and a node's two processes while one request is served.

    Returns:
        The trace, and how the kernel names the node's end of the client's connection.
    """
    now = now_ms()
    store = {
        "pubkey": AccountKeys.generate().account_id.hex,
        "timestamp": now,
        "ttl": 3_600_000,
        "data": b64encode(secrets.token_bytes(1000)).decode(),
    }
    params = {"store": store, "info": {}}
    processes = {name: network.pids[name] for name in ("nats", place.swarm, place.swarm.replace("swarm", "onion"))}
    async with http_client() as http:
        # The connection is there, and keys and statements are warm, before anything is traced.
        (await ask(http, place, "store", store | {"pubkey": AccountKeys.generate().account_id.hex})).raise_for_status()
        with traced(processes, output) as trace:
            answer = (await ask(http, place, method, params[method])).raise_for_status()
            # The answer is here before the kernel has told the node so; the next request comes after both.
            (await ask(http, place, "info", {})).raise_for_status()
        host, port = answer.extensions["network_stream"].get_extra_info("client_addr")[:2]
    node = place.url.removeprefix("https://")
    return trace, f"TCP:[{node}->{host}:{port}]"


def served_between(trace: Trace, onion: str, connection: str) -> tuple[SystemCall, SystemCall]:
    """Return the first arrival of bytes from the client, and the first sending of bytes to it thereafter."""
    calls = [call for call in trace.of(onion) if call.path == connection and call.result > 0]
    arrived = next(call for call in calls if call.name in RECEIVES)
    answered = next(call for call in calls if call.name in SENDS and call.begun > arrived.ended)
    return arrived, answered


def syncs_between(
    calls: list[SystemCall], arrived: SystemCall, answered: SystemCall, file: re.Pattern[str]
) -> list[SystemCall]:
    """Return the syncs of a file that wrote down what was written to it since a request arrived, before its answer."""
    here = [call for call in calls if file.search(call.path) and arrived.ended < call.begun]
    written = [call.ended for call in here if call.name in WRITES and call.result > 0]
    return [
        call
        for call in here
        if call.name in SYNCS
        and call.result == 0
        and call.ended < answered.begun
        and any(when < call.begun for when in written)
    ]


@pytest.mark.usefixtures("tracing")
async def test_a_store_is_answered_after_both_disks_have_it(network: StruckNetwork, tmp_path: Path) -> None:
    place = network.places()[0]
    trace, connection = await serve_one(network, place, "store", tmp_path / "trace")
    arrived, answered = served_between(trace, "onion-00", connection)
    disks = {
        "the log": syncs_between(trace.of("nats"), arrived, answered, LOG),
        "the receiving node's store": syncs_between(trace.of("swarm-00"), arrived, answered, STORE),
    }
    print(f"\nfrom the arrival of one store to its answer: {1000 * (answered.time_s - arrived.time_s):.1f} ms traced")
    for disk, syncs in disks.items():
        assert syncs, f"{disk} was not synced before the answer"
        last = syncs[-1]
        print(f"  {disk}: {last.name}({Path(last.path).name}) returned {last.result}", end="")
        print(f" {1000 * (answered.time_s - last.time_s):.1f} ms before the answer was sent")


@pytest.mark.usefixtures("tracing")
async def test_control_a_request_that_stores_nothing_shows_no_sync(network: StruckNetwork, tmp_path: Path) -> None:
    place = network.places()[0]
    trace, connection = await serve_one(network, place, "info", tmp_path / "trace")
    arrived, answered = served_between(trace, "onion-00", connection)
    assert syncs_between(trace.of("nats"), arrived, answered, LOG) == []
