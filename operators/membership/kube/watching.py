"""Hearing of changes: kopf watches all that decisions look at, and each change only says that it is time to look.

What changed is not looked at here, nothing is patched, and no handler needs a finalizer: decisions are made of what is
there, not of what was heard. kopf lives in a thread with an event loop of its own, for it takes the signals of the
one it runs in.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import kopf

from operators.membership.kube.cluster import NODE_POOLS, PODS, SERVICE_NODES, SERVICES, STATEFUL_SETS, VOLUME_CLAIMS
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
        heard: is called in the caller's event loop for every change.
    """

    def __init__(self, namespace: str, heard: Callable[[], None]) -> None:
        self._namespace = namespace
        self._heard = heard
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
                    settings=_settings(),
                    namespaces=[self._namespace],
                    standalone=True,
                    stop_flag=self._end,
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, the service ends with it
            self._failure = error
        finally:
            if not self._end.is_set():
                self._loop.call_soon_threadsafe(self._ended.set)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        for kind in _OURS:
            kopf.on.event(kind.api, kind.plural, registry=registry)(self._on_event)
        for kind in _MADE:
            kopf.on.event(kind.api, kind.plural, labels={POOL: kopf.PRESENT}, registry=registry)(self._on_event)
        return registry

    def _on_event(self, **_: Any) -> None:
        self._loop.call_soon_threadsafe(self._heard)


def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account, or by the kubeconfig that is at hand."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = _SERVER_ENDS_S
    settings.watching.client_timeout = _CLIENT_ENDS_S
    settings.watching.connect_timeout = _CONNECT_S
    settings.scanning.disabled = True  # definitions come before the operator, and reading them needs a right of its own
    settings.posting.enabled = False  # events are told by what decides
    return settings
