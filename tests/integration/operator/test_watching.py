"""Hearing of changes: what wakes, what only shows that somebody listens, and how it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import kmock
import kopf
import pytest

from operators.membership.kube.watching import Watch
from tests.integration.operator.install import INSTALL, NAMESPACE, Install

LEASE = f"{INSTALL}-operator"
WITHIN_S = 20.0
OURS = {"naisho.dev/pool": INSTALL}


class Ears:
    """Counts what is heard."""

    def __init__(self) -> None:
        self.changes = self.words = 0
        self._heard = asyncio.Event()

    def change(self) -> None:
        self.changes += 1
        self._heard.set()

    def word(self) -> None:
        self.words += 1
        self._heard.set()

    async def until(self, *, changes: int = 0, words: int = 0) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.changes < changes or self.words < words:
                self._heard.clear()
                await self._heard.wait()


@asynccontextmanager
async def listening(ears: Ears) -> AsyncIterator[asyncio.Task[None]]:
    watch = Watch(NAMESPACE, lease=LEASE, changed=ears.change, alive=ears.word)
    task = asyncio.create_task(watch.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def of_kopf() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kopf"]


def labelled(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": OURS}, "spec": {}}


async def watches(alone: Install, count: int) -> None:
    """Wait until so many watches are open."""
    async with asyncio.timeout(WITHIN_S):
        while len(alone.api._watches) < count:  # noqa: ASYNC110 - nobody tells of a watch that was opened
            await asyncio.sleep(0.01)


async def test_changes_wake_and_the_lease_only_shows_that_somebody_listens(alone: Install) -> None:
    ears = Ears()
    alone.store.create("leases", {"metadata": {"name": LEASE}, "spec": {"renewTime": "0"}})
    async with listening(ears):
        await ears.until(words=1)
        await watches(alone, 7)
        assert ears.changes == 0
        alone.store.create("pods", labelled("talk-0-0"))
        await ears.until(changes=1, words=2)
        alone.store.merge("leases", LEASE, {"spec": {"renewTime": "1"}})
        await ears.until(words=3)
        assert ears.changes == 1
        alone.store.create("statefulsets", {**labelled("talk-0"), "spec": {}})
        alone.store.delete("pods", "talk-0-0")
        await ears.until(changes=3)


async def test_what_is_not_ours_is_not_even_sent(alone: Install) -> None:
    ears = Ears()
    async with listening(ears):
        await watches(alone, 7)
        alone.store.create("pods", {"metadata": {"name": "somebody-elses"}, "spec": {}})
        alone.store.create("leases", {"metadata": {"name": "somebody-elses"}, "spec": {}})
        alone.store.create("services", labelled("talk-0"))
        await ears.until(changes=1)
        assert (ears.changes, ears.words) == (1, 1)
    asked = {
        str(request.resource.plural): request.params.get("labelSelector") or request.params.get("fieldSelector")
        for request in alone.api._requests
        if request.action is kmock.action.WATCH and request.resource is not None
    }
    assert asked == {
        "nodepools": None,
        "servicenodes": None,
        "leases": f"metadata.name={LEASE}",
        **dict.fromkeys(("pods", "services", "statefulsets", "persistentvolumeclaims"), "naisho.dev/pool"),
    }


async def test_nothing_is_written_by_watching(alone: Install) -> None:
    ears = Ears()
    alone.bring()
    alone.store.create("nodepools", {"metadata": {"name": INSTALL}, "spec": {"replicas": 15}})
    async with listening(ears):
        await ears.until(changes=1)
        alone.store.delete("nodepools", INSTALL)
        await ears.until(changes=2)
    assert alone.api.writes == []
    assert not any(there["metadata"].get("finalizers") for there in alone.store.every())


async def test_watches_that_the_server_ends_are_begun_again(alone: Install) -> None:
    ears = Ears()
    async with listening(ears):
        await watches(alone, 7)
        await alone.server.close()
        alone.store.create("pods", labelled("made-while-away"))
        await alone.server.open()
        await ears.until(changes=1)


async def test_it_stops_within_its_bound_and_leaves_no_thread(alone: Install) -> None:
    ears = Ears()
    async with listening(ears):
        await watches(alone, 7)
        assert len(of_kopf()) == 1
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert of_kopf() == []


async def test_a_watch_that_ends_by_itself_is_a_failure(alone: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    del alone

    async def breaks(**_: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(kopf, "operator", breaks)
    watch = Watch(NAMESPACE, lease=LEASE, changed=lambda: None, alive=lambda: None)
    with pytest.raises(RuntimeError, match="ended by itself") as caught:
        await watch.run()
    assert isinstance(caught.value.__cause__, ValueError)
    assert of_kopf() == []
