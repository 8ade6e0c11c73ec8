"""What nodes say, read without believing too much of it."""

from __future__ import annotations

import secrets

import orjson
import pytest

from naisho.errors import BadAnswer, BadReceipt, ClockWrong, Overloaded, PathBroken, RequestRefused, WrongSwarm
from naisho.network.clock import NetworkClock, offset_of
from naisho.network.strikes import FIRST_PAUSE, LONGEST_PAUSE, MEMORY, MOST_NODES, Strikes, pause
from naisho.paths.choosing import Route
from naisho.paths.failures import read_failure
from naisho.protocol import storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.encoding import to_base64
from naisho.protocol.message_hash import message_hash
from naisho.protocol.signing import SigningKey
from naisho.swarm.answers import Verdict, listed_members, parts_of, read_answer
from naisho.swarm.receipts import read_delete, read_store
from naisho.testing import FakeNetwork

NODES = FakeNetwork(6).directory.nodes
ROUTE = Route(*NODES[:3])
DESTINATION = NODES[3].key
STRANGER = secrets.token_bytes(32)


@pytest.mark.parametrize(
    ("status", "text", "blamed", "fatal", "of_destination"),
    [
        (502, f"Next node not found: {NODES[1].key.hex()}", (NODES[1].key,), True, False),
        (502, f"Next node not found: {NODES[1].key.hex().upper()}", (NODES[1].key,), True, False),
        (502, f"Next node is currently unreachable: {NODES[2].key.hex()}", (NODES[2].key,), False, False),
        (502, f"Next node not found: {DESTINATION.hex()}", (DESTINATION,), True, True),
        (502, f"Next node not found: {STRANGER.hex()}", (NODES[1].key, NODES[2].key), False, False),
        (503, f"Snode not ready: {NODES[2].key.hex()}", (NODES[2].key,), False, False),
        (503, "Service node is not ready: syncing\n", (NODES[0].key,), False, False),
        (503, "Server busy, try again later", (NODES[0].key,), False, False),
        (429, "", (NODES[0].key,), False, False),
        (504, "Request time out", (NODES[1].key, NODES[2].key), False, False),
        (500, "Invalid response from snode", (NODES[1].key, NODES[2].key), False, False),
        (406, "Timestamp error: check your clock", (NODES[1].key, NODES[2].key), False, False),
        (421, "{}", (NODES[1].key, NODES[2].key), False, False),
        (200 + 4, "\xff\x00" * 5000, (NODES[1].key, NODES[2].key), False, False),
    ],
)
def test_a_plain_answer_of_a_hop_blames_whom_the_wire_document_says(
    *, status: int, text: str, blamed: tuple[bytes, ...], fatal: bool, of_destination: bool
) -> None:
    failure = read_failure(status, text.encode(), ROUTE, DESTINATION)
    assert failure[1:] == (blamed, fatal, of_destination)
    assert isinstance(failure.error, PathBroken)
    assert not any(node.key.hex() in str(failure.error) for node in NODES)
    assert str(failure.error).isprintable()


def test_verdicts_follow_the_status() -> None:
    table = {
        400: (Verdict.REFUSED, RequestRefused),
        401: (Verdict.REFUSED, RequestRefused),
        403: (Verdict.REFUSED, RequestRefused),
        404: (Verdict.REFUSED, RequestRefused),
        406: (Verdict.SET_CLOCK, ClockWrong),
        421: (Verdict.LOOK_AGAIN, WrongSwarm),
        425: (Verdict.SET_CLOCK, ClockWrong),
        429: (Verdict.NEXT_MEMBER, Overloaded),
        500: (Verdict.NEXT_MEMBER, RequestRefused),
        502: (Verdict.NEXT_MEMBER, RequestRefused),
        503: (Verdict.NEXT_MEMBER, Overloaded),
    }
    for status, (verdict, error) in table.items():
        answer = read_answer(status, "some text")
        assert answer.verdict is verdict
        assert isinstance(answer.error, error)
    assert read_answer(200, '{"t": 1}').verdict is Verdict.DONE
    assert read_answer(200, {"t": 1}).body == {"t": 1}
    nonsenses: list[object] = ["[]", "not json", "", None, 7, []]
    for nonsense in nonsenses:
        assert read_answer(200, nonsense).verdict is Verdict.NEXT_MEMBER


def test_a_batch_that_fails_as_one_counts_as_that_failure() -> None:
    moved = {"code": 421, "body": {"snodes": [{"pubkey_ed25519": NODES[0].key.hex()}]}}
    answer = read_answer(200, orjson.dumps({"results": [moved, moved]}).decode())
    assert answer.verdict is Verdict.LOOK_AGAIN
    assert listed_members(answer.body) == [NODES[0].key]
    mixed = read_answer(200, {"results": [moved, {"code": 200, "body": {"messages": []}}]})
    assert mixed.verdict is Verdict.DONE
    with pytest.raises(WrongSwarm):
        parts_of(mixed.body, 2)
    for results in (None, [], [1, 2], [{"code": 200}, {"body": {}}], [{"code": "200", "body": {}}] * 2):
        with pytest.raises(BadAnswer):
            parts_of({"results": results}, 2)


def test_a_members_list_is_read_for_keys_alone() -> None:
    assert listed_members({}) == []
    body = {"snodes": [{"pubkey_ed25519": "xx"}, 5, {"ip": "1.2.3.4"}, {"pubkey_ed25519": NODES[2].key.hex()}]}
    assert listed_members(body) == [NODES[2].key]


def test_only_members_true_signatures_over_our_own_hash_count() -> None:
    keys = [SigningKey(secrets.token_bytes(32)) for _ in range(5)]
    me = AccountKeys.from_seed(b"m" * 16).account_id
    members = [type(NODES[0])(**{**vars(NODES[0]), "key": key.public}) for key in keys[:4]]
    name = message_hash(me.raw, 0, b"data")
    other = message_hash(me.raw, 0, b"other data")

    def signed(key: SigningKey, over: str, **more: object) -> dict[str, object]:
        return {"hash": over, "signature": to_base64(key.sign(storage_texts.store_result(over))), **more}

    results: dict[str, object] = {
        keys[0].public.hex(): signed(keys[0], name),
        keys[1].public.hex(): signed(keys[1], other),
        keys[2].public.hex(): {"failed": True, "timeout": True},
        keys[3].public.hex(): {**signed(keys[3], name), "signature": to_base64(bytes(64))},
        keys[4].public.hex(): signed(keys[4], name),
        "nonsense": 7,
    }
    receipt = read_store({"swarm": results}, members, name)
    assert (receipt.members, receipt.asked, receipt.message_hash) == ((keys[0].public,), 4, name)
    with pytest.raises(BadReceipt):
        read_store({"swarm": {keys[1].public.hex(): signed(keys[1], other)}}, members, name)
    with pytest.raises(BadAnswer):
        read_store({"swarm": []}, members, name)

    text = storage_texts.delete_result(me.hex, [name], [name])
    deleted = {"deleted": [name], "signature": to_base64(keys[0].sign(text))}
    assert read_delete({"swarm": {keys[0].public.hex(): deleted}}, members, me, [name]).count == 1
    for wrong in ({**deleted, "deleted": []}, {**deleted, "deleted": [7]}, {**deleted, "deleted": None}):
        with pytest.raises(BadReceipt):
            read_delete({"swarm": {keys[0].public.hex(): wrong}}, members, me, [name])


def test_strikes_pause_longer_and_longer_and_are_forgotten() -> None:
    now = 0.0
    strikes = Strikes(lambda: now)
    strikes.add(b"a", 2)
    assert strikes.out() == set()
    strikes.add(b"a")
    assert strikes.out() == {b"a"}
    now += FIRST_PAUSE
    assert strikes.out() == set()
    strikes.add(b"a")
    now += FIRST_PAUSE
    assert strikes.out() == {b"a"}
    strikes.forgive(b"a")
    assert strikes.out() == set()
    strikes.add(b"a", 100)
    now += LONGEST_PAUSE
    assert strikes.out() == set(), "nothing is for ever"
    strikes.add(b"b", 2)
    now += MEMORY + 1
    strikes.add(b"c")
    assert strikes.out() == set()
    strikes.add(b"b", 2)
    assert strikes.out() == set(), "two days ago does not count"
    for number in range(2 * MOST_NODES):
        strikes.add(number.to_bytes(4, "big"))
    assert len(strikes._strikes) == MOST_NODES
    assert [pause(count) for count in (0, 2, 3, 4, 5, 50)] == [0, 0, 60, 120, 240, 3600]


def test_one_lying_node_does_not_move_the_clock() -> None:
    clock = NetworkClock(lambda: 1_000_000)
    clock.learn([5, 7, 10**15])
    assert clock.now_ms() == 1_000_007
    clock.learn([])
    assert clock.now_ms() == 1_000_007
    assert offset_of(2_050, 1_000, 1_100) == 1_000
