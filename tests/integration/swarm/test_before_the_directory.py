"""A node that starts knows no directory for a moment; what it holds is not given up for that."""

from __future__ import annotations

from typing import Any

from services.swarm.adapters.following import Wanted

#: Answers of the log that a node needs to begin are fewer.
_QUESTIONS = 20


async def test_what_a_node_holds_is_not_given_up_before_anybody_has_said_what_it_serves(
    swarm: Any, account: bytes, make_store: Any
) -> None:
    first, second, _ = await swarm.start()
    for number in range(5):
        await first.runtime.mailboxes.execute(make_store(account, b"message %d" % number))
    await second.level()
    before = await second.messages(account)
    await second.stop()

    await second.start(wait=False, told=False)
    second.runtime.following.begin_again()  # as after a lost connection
    for _ in range(_QUESTIONS):
        await second.mail.identity()
    (group,) = await second.store.progress()
    assert group.position > 0, "it goes on where it was"
    assert await second.messages(account) == before
    second.runtime.following.want(Wanted(group.shards))
    await second.caught_up()
    assert await second.messages(account) == before
    assert len(before) == 5
