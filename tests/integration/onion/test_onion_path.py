"""Three hops and a destination, through real nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from naisho.protocol.onion.encryption import Encryption
from naisho.protocol.onion.packet import to_node
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_ONION
from services.chassis.packed import Reply

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "session-vectors.json").read_text())
PATH_VECTOR = VECTORS["onion_three_hops_to_node"]


@pytest.mark.parametrize("example", PATH_VECTOR["examples"], ids=lambda example: example["enc_type"])
async def test_a_recorded_packet_reaches_its_destination(lab: Any, connect: Any, example: dict[str, Any]) -> None:
    entry, *_, destination = await lab.add(secrets=[bytes.fromhex(n["ed25519_seed"]) for n in PATH_VECTOR["nodes"]])
    await lab.publish()
    client = await connect(entry.service.https_port)
    answer = await client.ask("POST", "/onion_req/v2", bytes.fromhex(example["packet_to_first_hop_hex"]))
    assert answer.status == 200
    asked = bytes.fromhex(example["decrypted_at_each_node_hex"][-1])
    size = int.from_bytes(asked[:4], "little")
    assert destination.mailbox.calls == [(MAILBOX_CALL_ONION, asked[4 : 4 + size])]
    assert all(not node.mailbox.calls for node in lab.nodes[:-1])


@pytest.mark.parametrize("encryption", list(Encryption))
async def test_the_reply_comes_back_readable_by_the_client_alone(
    lab: Any, connect: Any, encryption: Encryption
) -> None:
    nodes = await lab.add(3)
    await lab.publish()

    async def wrong_swarm(_call: int, _body: bytes) -> Reply:
        return Reply(421, b'{"snodes":[],"swarm":"ff"}')

    nodes[2].mailbox.answer = wrong_swarm
    client = await connect(nodes[0].service.https_port)
    packet = to_node([node.hop_key for node in nodes], "info", {}, encryption=encryption)
    answer = await client.ask("POST", "/onion_req/v2", packet.data)
    assert answer.status == 200
    assert b"snodes" not in answer.body
    reply = packet.read(answer.body)
    assert (reply.status, reply.body) == (421, '{"snodes":[],"swarm":"ff"}')
