"""``naisho cluster test``: does the network carry a message, keep it for its reader, and forget it on demand?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeAlias

from naisho import Client, TextReceived, Unsent
from naisho.conversation.sending import Delivery
from operators.cluster.errors import TrialFailed
from operators.trial.talk import TalkFailed, describe_delivery, describe_path, next_event

#: Opens a client in a fresh profile of that name.
Opener: TypeAlias = Callable[[str], AbstractAsyncContextManager[Client]]
Tell: TypeAlias = Callable[[Mapping[str, Any]], None]

HOPS: Final = 3
WORDS: Final = "A message that tests this network. 内緒"


class Trial:
    """One trial; ``steps`` holds what was shown so far."""

    def __init__(self, tell: Tell) -> None:
        self.steps: list[dict[str, Any]] = []
        self._tell = tell
        self._step = "open"

    async def run(self, opener: Opener, within_s: float) -> list[dict[str, Any]]:
        """Let two new accounts exchange a message and take it back; return the steps.

        Raises:
            TrialFailed: a step did not come out as it must, or not in time.
        """
        try:
            async with asyncio.timeout(within_s):
                async with opener("writer") as writer, opener("reader") as reader:
                    await self._talk(writer, reader)
        except TimeoutError:
            raise TrialFailed(step=self._step, reason=f"not done after {within_s:.0f} s") from None
        except TalkFailed as error:
            raise TrialFailed(step=self._step, reason=str(error)) from error
        return self.steps

    async def _talk(self, writer: Client, reader: Client) -> None:
        author, to = await writer.new_account("Writer"), await reader.new_account("Reader")
        for client in (writer, reader):
            with self._showing("path") as facts:
                facts.update(await _prove(client))
        with self._showing("send") as facts:
            sent = await writer.send(to, WORDS)
            facts.update(_check_receipts(sent))
        with self._showing("read"):
            got = await next_event(reader, TextReceived)
            if (got.message.text, got.message.author) != (WORDS, author):
                raise TalkFailed("another message arrived than was sent")
        with self._showing("unsend") as facts:
            facts.update(_check_receipts(await writer.unsend(sent.message.sent_ms)))
        with self._showing("forget"):
            gone = await next_event(reader, Unsent)
            if (gone.author, gone.sent_ms) != (author, sent.message.sent_ms):
                raise TalkFailed("another message was taken back")
            if any(message.text == WORDS for message in await reader.history(author)):
                raise TalkFailed("the reader still has the text")

    @contextmanager
    def _showing(self, step: str) -> Iterator[dict[str, Any]]:
        """Tell a step and its facts when the block is done; one that fails is named in the error."""
        self._step = step
        facts: dict[str, Any] = {}
        yield facts
        self.steps.append({"step": step, **facts})
        self._tell(self.steps[-1])


async def _prove(client: Client) -> dict[str, Any]:
    path = describe_path(await client.prove_path())
    nodes = {hop["node"] for hop in path["hops"]}
    if len(nodes) != HOPS:
        raise TalkFailed(f"the path has {len(nodes)} different nodes, not {HOPS}")
    if path["light"] != "green":
        raise TalkFailed(f"the path is {path['light']}: a probe through it did not come back")
    return {"hops": len(nodes), "proof_ms": path["proof_ms"], "grade": path["grade"]}


def _check_receipts(delivery: Delivery) -> dict[str, Any]:
    """Return the receipts; those counted are signed by members of the swarm, which the client has checked."""
    told, receipt = describe_delivery(delivery), delivery.receipt
    assert receipt is not None
    if receipt.count * 2 <= receipt.asked:
        raise TalkFailed(f"only {told['receipts']} members of the swarm signed a receipt")
    return told
