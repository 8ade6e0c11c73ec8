"""How fast a wiped node is whole again: the same stream pulled leanly, and followed into a node's own store.

The stream holds ten messages for every mailbox, in mixed order, older than anybody waits for: what a node of a network
in use finds there.

``python -m tests.bench.replay PORT PID STREAM`` replays once, in a process of its own, and prints events per second.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from operators.local.nats_server import NatsServer
from services.chassis.clock import SystemClock
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.settings import NatsSettings
from services.swarm.adapters.event_codec import SealedBody, encode
from services.swarm.adapters.following import MAIN
from services.swarm.adapters.mailbox_subjects import arrive
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.events import Stored
from services.swarm.domain.policies import Retention
from services.swarm.projections.projection import Projection, ProjectionSettings

EVENTS = 20_000
#: Messages of one mailbox; those of all mailboxes come mixed.
EACH = 10
NAMES = NetworkNames("replay")
FOLLOWER = "replay"
#: A node of a network with one swarm follows all.
SHARDS = frozenset(range(256))
DAY_MS = 86_400_000
#: As services.chassis.hosting has it.
SWITCH_S = 0.0005
SEAL_BYTES = 28


def _payload(now_ms: int) -> bytes:
    event = Stored(os.urandom(32), 0, now_ms, now_ms + DAY_MS, None, 1024)
    return encode(os.urandom(16), event, SealedBody(now_ms // 3_600_000 + 24, os.urandom(1024 + SEAL_BYTES)))


async def fill(port: int) -> None:
    """Store messages of 1 KB, ten for every mailbox, in mixed order."""
    connection = await NatsConnection.connect(NatsSettings(servers=(f"nats://127.0.0.1:{port}",)))
    plan = StreamPlan(name=NAMES.mail_stream, subjects=(NAMES.swarm,), max_bytes=1 << 33, max_event_bytes=1 << 20)
    await ensure_stream(connection, plan)
    log = await JetStreamLog.open(connection, NAMES.mail_stream)
    now_ms = time.time_ns() // 1_000_000
    mailboxes = [NAMES.mailbox(number % 256, os.urandom(16).hex()) for number in range(EVENTS // EACH)]
    order = mailboxes * EACH
    random.Random(EVENTS).shuffle(order)
    for start in range(0, EVENTS, 500):
        await asyncio.gather(*(log.append(place, _payload(now_ms)) for place in order[start : start + 500]))
    await log.close()
    await connection.close()


async def replay(port: int) -> float:
    """Follow the whole stream into an empty store; events per second until all of it is on the disk."""
    connection = await NatsConnection.connect(NatsSettings(servers=(f"nats://127.0.0.1:{port}",)))
    await ensure_follower(connection, NAMES.mail_stream, FOLLOWER, NAMES.shards(SHARDS))
    log = await JetStreamLog.open(connection, NAMES.mail_stream)
    identity = await log.identity()
    with tempfile.TemporaryDirectory() as folder:
        store = await LocalStore.open(Path(folder), Retention())
        await store.follow({MAIN: SHARDS}, identity.incarnation)
        projection = Projection(MAIN, log, store, arrive, clock=SystemClock())
        began = time.perf_counter()
        following = asyncio.create_task(projection.follow(FOLLOWER, NAMES.shards(SHARDS), after=0))
        await projection.reached(identity.last_sequence)
        took = time.perf_counter() - began
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await store.close()
    await log.close()
    await connection.close()
    return identity.last_sequence / took


class Replays:
    """Pairs of a lean pull and a replay of one stream.

    Args:
        nats: the server that holds it.
    """

    def __init__(self, nats: NatsServer) -> None:
        self._nats = nats
        uvloop.run(fill(nats.config.port))
        time.sleep(ProjectionSettings().young_s)

    def measure(self) -> tuple[float, float]:
        """Return events per second of the lean pull and of the replay."""
        port, pid = str(self._nats.config.port), str(self._nats.pid)
        lean = _json("tests.bench.ceilings", "follow", port, pid, f"stream={NAMES.mail_stream}")
        own = _json("tests.bench.replay", port)
        return lean["rate"], own["rate"]


def _json(module: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    sys.stdout.write(json.dumps({"rate": uvloop.run(replay(int(sys.argv[1])))}) + "\n")
