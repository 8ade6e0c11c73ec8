from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from naisho.protocol import network_file
from naisho.protocol.directory import Directory
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.ring import swarm_id
from naisho.protocol.signing import SigningKey
from services.chassis.certificates import Identity
from services.chassis.clock import SystemClock
from services.chassis.settings import Address, Secret
from services.swarm.adapters.store.local import LocalStore
from services.swarm.adapters.store.schema import FILE
from services.swarm.bootstrap import SwarmService
from services.swarm.domain.policies import Retention
from services.swarm.settings import AboutNode, NatsUserSettings, SwarmSettings

MakeService = Callable[..., SwarmService]


@pytest.fixture
def make_service(tmp_path: Path) -> MakeService:
    """Return a maker of swarm services that are not connected, with a store of their own."""

    def make(machine: str = "", mailbox_key: bytes = bytes(32)) -> SwarmService:
        folder, seed = tmp_path / secrets.token_hex(4), secrets.token_bytes(32)
        Identity.make(SigningKey(seed).public.hex()).write(folder / "hop")
        file = folder / "network.json"
        file.write_text(network_file.render(NetworkFile("n-1", (bytes(32),))), "utf-8")
        settings = SwarmSettings(
            file,
            Secret(seed.hex().encode()),
            Secret(mailbox_key.hex().encode()),
            folder / "hop",
            folder / "store",
            AboutNode(Address("127.0.0.1", 1), Address("127.0.0.1", 2), machine=machine),
            NatsUserSettings(("nats://127.0.0.1:1",)),
        )
        service = SwarmService(settings, SystemClock())
        service.runtime = MagicMock()
        service.runtime.following.held = frozenset()
        service.membership = MagicMock()
        return service

    return make


def directory(*nodes: object) -> Directory:
    made = MagicMock(spec=Directory)
    made.by_key = {node.key: node for node in nodes}  # type: ignore[attr-defined]
    made.members.return_value = nodes
    made.followed.return_value = MagicMock(main=frozenset(), extra=frozenset())
    return made


async def stopped(service: SwarmService, *seen: Directory) -> bool:
    """Open a store, see directories, stop; tell whether the store is still there."""
    folder = service._settings.data
    service._store = await LocalStore.open(folder, Retention(1, 2, 3))
    for each in seen:
        service._on_directory(each)
    await service.stop()
    return (folder / FILE).exists()


async def test_a_node_that_has_left_keeps_no_mail(make_service: MakeService) -> None:
    service = make_service()
    own = MagicMock(key=service._key.public, swarm_id=swarm_id(0))
    assert not await stopped(service, directory(own), directory())


async def test_a_node_that_is_listed_or_never_was_keeps_its_store(make_service: MakeService) -> None:
    listed = make_service()
    own = MagicMock(key=listed._key.public, swarm_id=swarm_id(0))
    assert await stopped(listed, directory(own))
    assert await stopped(make_service(), directory())


async def test_a_node_that_came_back_keeps_its_store(make_service: MakeService) -> None:
    service = make_service()
    own = MagicMock(key=service._key.public, swarm_id=swarm_id(0))
    assert await stopped(service, directory(own), directory(), directory(own))


def test_a_machines_name_is_told_to_nobody_outside(make_service: MakeService) -> None:
    one, other, foreign = make_service("worker-7"), make_service("worker-7"), make_service("worker-7", b"k" * 32)
    assert one._about.machine == other._about.machine != ""
    assert "worker" not in one._about.machine
    assert one._about.machine != foreign._about.machine, "only who has the network's key can try names"
    assert make_service("worker-8")._about.machine != one._about.machine
    assert make_service()._about.machine == ""
