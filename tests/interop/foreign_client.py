"""session-python, a client that none of us wrote, made awaitable: it blocks, so each of its calls gets a thread.

Nothing in it is changed but the list of seeds that it starts from.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from session_python import Poller, Session
from session_python.crypto import decrypt_with_session_protocol, remove_message_padding
from session_python.polling import get_snode_signature_params
from session_python.protobuf.signalservice_pb2 import Content, Envelope, WebSocketMessage

from naisho import AccountId
from naisho.protocol import recovery
from naisho.protocol.account import AccountKeys

#: Why tests that use it carry ``pytest.mark.filterwarnings(UNVERIFIED)``: it does not check nodes' certificates (no
#: client can, wire 2.2) and silences urllib3's warning about that when it is imported; pytest undoes that.
UNVERIFIED = "ignore:Unverified HTTPS request:urllib3.exceptions.InsecureRequestWarning"

DIRECT_MESSAGES = 0
PATIENCE = 10.0
PAUSE = 0.1

#: What the client's poller makes of a message.
Polled = dict[str, Any]


FIRST_BYTE_IT_TAKES_OFF = 0x05


class Heard(NamedTuple):
    """A message of the mailbox, opened with the client's own functions: its poller leaves some kinds' details out."""

    author: str
    timestamp: int
    content: Any
    hash: str


def words_that_it_can_use() -> str:
    """Return the words of a new account that session-python can write to.

    It takes the prefix off twice when the key behind it begins with 05 as well, which one account in 256 does.
    """
    while True:
        words: str = Session.generate_mnemonic()
        if AccountKeys.from_seed(recovery.from_words(words)).x25519_public[0] != FIRST_BYTE_IT_TAKES_OFF:
            return words


class ForeignAccount:
    """An account that session-python made and holds."""

    def __init__(self, name: str = "") -> None:
        self.session = Session()
        self.words = words_that_it_can_use()
        self.session.set_mnemonic(self.words, display_name=name or None)
        self._poller = Poller(self.session)

    @property
    def id(self) -> str:
        """Its account id, 66 hexadecimal digits."""
        return str(self.session.get_session_id())

    @property
    def account(self) -> AccountId:
        """The same as the SDK has it."""
        return AccountId.parse(self.id)

    async def do(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Run one of the client's own functions."""
        return await asyncio.to_thread(call, *arguments)

    async def say(self, to: str, text: str) -> Polled:
        """Send a text; return its hashes and timestamp."""
        sent: Polled = await self.do(self.session.send_message, to, text)
        return sent

    async def hear(self, kind: str, *, author: str) -> Polled:
        """Poll until a message of a kind by an author comes; copies of own messages and others are passed over.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                polled: Sequence[Polled] = await self.do(self._poller.poll)
                found = [one for one in polled if one["type"] == kind and one["from"] == author]
                if found:
                    assert len(found) == 1, f"{kind} came {len(found)} times in one poll"
                    return found[0]
                await asyncio.sleep(PAUSE)

    async def mailbox(self) -> list[Heard]:
        """Return everything that the own mailbox holds, oldest first."""
        return [self._open(message) for message in await self.do(self._retrieve)]

    def _retrieve(self) -> Sequence[Polled]:
        member = self.session.get_our_swarm()
        params = get_snode_signature_params(self.session.keys, "retrieve", DIRECT_MESSAGES)
        results = self.session.network.snode_batch_request(
            {"public_ip": member["ip"], "storage_port": int(member["port"])},
            [{"method": "retrieve", "params": {"pubkey": self.id, "namespace": DIRECT_MESSAGES, **params}}],
        )
        assert results[0]["code"] == 200
        messages: Sequence[Polled] = results[0]["body"]["messages"]
        return messages

    def _open(self, message: Polled) -> Heard:
        envelope = Envelope.FromString(WebSocketMessage.FromString(b64decode(message["data"])).request.body)
        padded, author = decrypt_with_session_protocol(self.session.keys, envelope.content)
        content = Content.FromString(remove_message_padding(padded))
        return Heard(author, envelope.timestamp, content, message["hash"])

    def close(self) -> None:
        """Close its connections."""
        self.session.close()
