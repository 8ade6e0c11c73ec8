"""Running ``naisho cluster test`` in profiles that are gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from naisho import Client
from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.cluster.trial_message import Trial


async def try_network(context: CliContext, texts: Texts, network: Path | None, within_s: float) -> None:
    """Send a message through a network and take it back.

    Args:
        context: the invocation.
        texts: our texts.
        network: the network file; None for the one that the environment names.
        within_s: how long all of it may take.

    Raises:
        NoNetwork: no file was given, and the environment names none.
        TrialFailed: a step failed.
    """
    with tempfile.TemporaryDirectory(prefix="naisho-test-") as folder:

        def opener(name: str) -> AbstractAsyncContextManager[Client]:
            return open_client(Path(folder) / name, network)

        def tell(step: Mapping[str, Any]) -> None:
            context.output.say(f"✓ {texts('test.' + step['step'], **step)}")

        steps = await Trial(tell).run(opener, within_s)
    context.output.result({"passed": True, "steps": steps})
    context.output.say(texts("test.passed"))


def open_client(folder: Path, network: Path | None) -> AbstractAsyncContextManager[Client]:
    """Return a client with a new profile in a folder of its own."""
    return Client.open(folder, network=network, create=True)
