"""Hearing of changes: kopf watches all that decisions look at, and each change only says that it is time to look.

The operator's own Lease is watched, too: it is renewed every few seconds, so that who hears nothing of it is deaf, and
not just in a network where nothing happens.

What changed is not looked at here, nothing is patched, and no handler needs a finalizer: decisions are made of what is
there, not of what was heard. kopf lives in a thread with an event loop of its own, for it takes the signals of the
one it runs in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import kopf

from operators.membership.kube.cluster import (
    LEASES,
    NODE_POOLS,
    PODS,
    SERVICE_NODES,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
)
from operators.membership.manifests.site import POOL

log = logging.getLogger(__name__)

#: A watch is ended by the server, then by us, and begun again: one that hears nothing any more does not last.
_SERVER_ENDS_S: Final = 240
_CLIENT_ENDS_S: Final = 270
_CONNECT_S: Final = 15
_STOP_WITHIN_S: Final = 10
_OURS: Final = (NODE_POOLS, SERVICE_NODES)
_MADE: Final = (PODS, STATEFUL_SETS, SERVICES, VOLUME_CLAIMS)


class Watch:
    """kopf at work in one namespace.

    Args:
        namespace: the only one that is watched.
        lease: name of the Lease that is renewed all the time.
        changed: is called in the caller's event loop for every change.
        alive: is called there for every change, and whenever the Lease was renewed.
    """

    def __init__(self, namespace: str, *, lease: str, changed: Callable[[], None], alive: Callable[[], None]) -> None:
        self._namespace = namespace
        self._lease = lease
        self._changed = changed
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._end = threading.Event()
        self._ended = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            RuntimeError: kopf has ended by itself.
        """
        thread = threading.Thread(target=self._work, name="kopf", daemon=True)
        thread.start()
        try:
            await self._ended.wait()
        finally:
            self._end.set()
            await asyncio.to_thread(thread.join, _STOP_WITHIN_S)
        raise RuntimeError("watching has ended by itself") from self._failure

    def _work(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry(),
                    settings=_settings(self._lease),
                    namespaces=[self._namespace],
                    standalone=True,
                    stop_flag=self._end,
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, the service ends with it
            self._failure = error
        finally:
            if not self._end.is_set():
                self._tell(self._ended.set)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        for kind in _OURS:
            kopf.on.event(kind.api, kind.plural, registry=registry)(self._on_event)
        for kind in _MADE:
            kopf.on.event(kind.api, kind.plural, labels={POOL: kopf.PRESENT}, registry=registry)(self._on_event)
        kopf.on.event(LEASES.api, LEASES.plural, registry=registry)(self._on_renewal)
        return registry

    def _on_event(self, **_: Any) -> None:
        self._tell(self._alive)
        self._tell(self._changed)

    def _on_renewal(self, **_: Any) -> None:
        self._tell(self._alive)

    def _tell(self, whom: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended; so will this thread
            self._loop.call_soon_threadsafe(whom)


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account, or by the kubeconfig that is at hand."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def _settings(lease: str) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # What is not ours is not even sent; and by its name alone a Lease may be watched.
    for kind in _MADE:
        settings.watching.label_selectors[kind.api, kind.plural] = POOL
    settings.watching.field_selectors[LEASES.api, LEASES.plural] = f"metadata.name={lease}"
    settings.watching.server_timeout = _SERVER_ENDS_S
    settings.watching.client_timeout = _CLIENT_ENDS_S
    settings.watching.connect_timeout = _CONNECT_S
    settings.scanning.disabled = True  # definitions come before the operator, and reading them needs a right of its own
    settings.posting.enabled = False  # events are told by what decides
    return settings
