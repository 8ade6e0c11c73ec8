from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naisho.protocol.directory import Node, NodeState
from services.swarm.adapters.inquiries import Inquiries, Inquiry
from services.swarm.adapters.witness import Note
from services.swarm.bootstrap import away
from services.swarm.domain.commands import DeleteAll

OWN, HERE, AWAY = "aa" * 32, "bb" * 32, "cc" * 32
SIGNED = b'{"signature": "s"}'


class Silent:
    """A witness that never answers."""

    def take(self, note: Note) -> None: ...


@pytest.fixture
async def inquiries() -> Inquiries:
    return Inquiries(OWN, Silent(), lambda _: None)  # type: ignore[arg-type]  # all that an inquiry needs here


def opened(inquiries: Inquiries) -> Inquiry:
    inquiry = inquiries.open(DeleteAll(b"a" * 33, 0, 1), b"t" * 16, [OWN, HERE, AWAY])
    inquiry.own.set_result({"own": True})
    return inquiry


async def answered(inquiries: Inquiries, inquiry: Inquiry) -> Any:
    await inquiries.own(inquiry, own_s=5, others_s=30)
    async with asyncio.timeout(5):
        return (await inquiries.answers(inquiry)).members


async def test_an_excused_member_is_timed_out_as_soon_as_all_others_have_answered(inquiries: Inquiries) -> None:
    inquiries.excuse([AWAY])
    inquiry = opened(inquiries)
    assert not inquiry.complete.done()
    inquiries.hear(HERE, inquiry.token, SIGNED)
    members = await answered(inquiries, inquiry)
    assert members == {OWN: {"own": True}, HERE: {"signature": "s"}, AWAY: {"failed": True, "timeout": True}}
    assert inquiries.silent == 0


async def test_an_excused_member_that_answers_first_is_heard(inquiries: Inquiries) -> None:
    inquiries.excuse([AWAY])
    inquiry = opened(inquiries)
    inquiries.hear(AWAY, inquiry.token, SIGNED)
    assert not inquiry.complete.done(), "the others are waited for"
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
