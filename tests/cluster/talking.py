"""Messages through the installed network: by our SDK, and by a client that none of us wrote."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from urllib.parse import urlsplit

from naisho import Client, TextReceived
from naisho.protocol.network_file import NetworkFile, render

_PATIENCE_S = 60.0


async def talk(network: NetworkFile) -> None:
    """Let one of our accounts and one of session-python write to each other; the network's last seed is the way in.

    Raises:
        AssertionError: a text did not arrive as it was sent.
        TimeoutError: none arrived.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the foreign client checks no certificates, and says so
        from tests.interop.foreign_client import ForeignAccount, words_that_it_can_use  # noqa: PLC0415

        with (
            TemporaryDirectory() as folder,
            patch("session_python.network.SEEDS", [{"url": urlsplit(network.seeds[-1]).netloc}]),
        ):
            file = Path(folder) / "network.json"
            file.write_text(render(network), "utf-8")
            mio = ForeignAccount("Mio")
            try:
                async with Client.open(Path(folder) / "ours", network=file, create=True) as aiko:
                    await aiko.recover(words_that_it_can_use(), "Aiko")
                    await _converse(aiko, mio)
            finally:
                mio.close()


async def _converse(aiko: Client, mio: object) -> None:
    await mio.say(aiko.account_id.hex, "Can you read this?")  # type: ignore[attr-defined]  # imported late, see above
    async with asyncio.timeout(_PATIENCE_S):
        while not (events := await aiko.poll()):  # noqa: ASYNC110 - a mailbox can only be polled
            await asyncio.sleep(0.2)
    (event,) = events
    assert isinstance(event, TextReceived)
    assert event.message.text == "Can you read this?"
    await aiko.send(mio.id, "I can. And you?")  # type: ignore[attr-defined]
    heard = await mio.hear("data", author=aiko.account_id.hex)  # type: ignore[attr-defined]
    assert "I can. And you?" in str(heard)
