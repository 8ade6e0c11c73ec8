from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naisho.protocol.directory import Node, NodeState
from services.chassis.eventlog.port import LogUnavailable
from services.swarm.adapters.inquiries import Inquiries, Inquiry
from services.swarm.adapters.witness import Note
from services.swarm.bootstrap import away
from services.swarm.domain.commands import DeleteAll, Store, Stores

OWN, HERE, AWAY = "aa" * 32, "bb" * 32, "cc" * 32
SIGNED = b'{"signature": "s"}'


class Silent:
    """A witness that never answers."""

    def take(self, note: Note) -> None: ...


UNREADABLE = {"failed": True, "bad_peer_response": True}


@pytest.fixture
async def inquiries() -> Inquiries:
    return Inquiries(OWN, Silent(), lambda _: None)  # type: ignore[arg-type]  # all that an inquiry needs here


def opened(inquiries: Inquiries) -> Inquiry:
    inquiry = inquiries.open(DeleteAll(b"a" * 33, 0, 1), b"t" * 16, [OWN, HERE, AWAY])
    inquiry.hear_own({"own": True})
    return inquiry


async def answered(inquiries: Inquiries, inquiry: Inquiry) -> Any:
    async with asyncio.timeout(5):
        (answer,) = await inquiries.answers(inquiry, own_s=5, others_s=30)
        return answer.members


async def test_an_excused_member_is_timed_out_as_soon_as_all_others_have_answered(inquiries: Inquiries) -> None:
    inquiries.excuse([AWAY])
    inquiry = opened(inquiries)
    assert inquiry.awaited == {HERE}
    inquiries.hear(HERE, inquiry.token, SIGNED)
    members = await answered(inquiries, inquiry)
    assert members == {OWN: {"own": True}, HERE: {"signature": "s"}, AWAY: {"failed": True, "timeout": True}}
    assert inquiries.silent == 0


async def test_an_excused_member_that_answers_first_is_heard(inquiries: Inquiries) -> None:
    inquiries.excuse([AWAY])
    inquiry = opened(inquiries)
    inquiries.hear(AWAY, inquiry.token, SIGNED)
    assert inquiry.awaited == {HERE}, "the others are waited for"
    inquiries.hear(HERE, inquiry.token, SIGNED)
    assert (await answered(inquiries, inquiry))[AWAY] == {"signature": "s"}


async def test_a_member_that_is_back_is_waited_for_again(inquiries: Inquiries) -> None:
    inquiries.excuse([AWAY])
    inquiries.excuse([])
    inquiry = opened(inquiries)
    inquiries.hear(HERE, inquiry.token, SIGNED)
    assert inquiry.awaited == {AWAY}


@pytest.mark.parametrize("state", NodeState)
def test_only_unreachable_members_are_away(state: NodeState) -> None:
    node = Node(b"k" * 32, b"x" * 32, (), "family", "ZZ", (2, 11, 0), state)
    assert away([node]) == ({node.key.hex()} if state is NodeState.UNREACHABLE else set())


async def test_an_answer_waits_for_the_logs_acknowledgement(inquiries: Inquiries) -> None:
    inquiry = opened(inquiries)
    for member in (HERE, AWAY):
        inquiries.hear(member, inquiry.token, SIGNED)
    appended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    held: list[bool] = []
    waiting = asyncio.ensure_future(
        inquiries.answers(inquiry, own_s=5, others_s=0, appended=appended, on_held=lambda: held.append(True))
    )
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not held
    appended.set_result(7)
    (answer,) = await waiting
    assert set(answer.members) == {OWN, HERE, AWAY}
    assert held


async def test_a_failed_append_is_told_at_once_whatever_has_answered(inquiries: Inquiries) -> None:
    inquiry = opened(inquiries)
    appended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(inquiries.answers(inquiry, own_s=5, others_s=30, appended=appended))
    await asyncio.sleep(0)
    appended.set_exception(LogUnavailable("gone"))
    with pytest.raises(LogUnavailable):
        await waiting


async def test_waits_end_when_they_have_lasted_too_long(inquiries: Inquiries) -> None:
    inquiry = opened(inquiries)
    (answer,) = await inquiries.answers(inquiry, own_s=5, others_s=0.01)
    members = answer.members
    assert members[HERE] == {"failed": True, "timeout": True}
    assert inquiries.silent == 2
    unheard = inquiries.open(DeleteAll(b"a" * 33, 0, 1), b"t" * 16, [OWN])
    with pytest.raises(TimeoutError):
        await inquiries.answers(unheard, own_s=0.01, others_s=30)


@pytest.mark.parametrize(
    ("sent", "second"),
    [
        (b'[{"signature": "a"}, {"signature": "b"}]', {"signature": "b"}),
        (b'[{"signature": "a"}, 7]', UNREADABLE),
        (b'[{"signature": "a"}]', UNREADABLE),
        (b"[{}, {}, {}]", UNREADABLE),
        (b'{"signature": "a"}', UNREADABLE),
        (b"[", UNREADABLE),
    ],
)
async def test_one_who_is_asked_for_several_results_must_send_as_many(
    inquiries: Inquiries, sent: bytes, second: dict[str, Any]
) -> None:
    two = Stores(tuple(Store(b"", 0, bytes([n]) * 32, b"", 0, 0) for n in range(2)))
    inquiry = inquiries.open(two, b"", [OWN, HERE])
    inquiry.hear_own([{"own": 1}, {"own": 2}])
    inquiries.hear(HERE, inquiry.token, sent)
    answers = await inquiries.answers(inquiry, own_s=5, others_s=30)
    assert [answer.own for answer in answers] == [{"own": 1}, {"own": 2}]
    assert answers[1].members == {OWN: {"own": 2}, HERE: second}


async def test_a_list_is_no_answer_to_one_command(inquiries: Inquiries) -> None:
    inquiry = opened(inquiries)
    inquiries.hear(HERE, inquiry.token, b"[{}]")
    inquiries.hear(AWAY, inquiry.token, SIGNED)
    assert (await answered(inquiries, inquiry))[HERE] == UNREADABLE
