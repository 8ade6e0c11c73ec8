"""An API server in this process: kmock speaks the protocol, ``ApiStore`` keeps the objects."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import attrs
import kmock
from aiohttp import web
from kmock._internal import rendering

from tests.integration.operator.api_store import SERVED, ApiStore, Change, Manifest, Rejected, selects

VERBS: Final = {
    kmock.action.FETCH: "get",
    kmock.action.LIST: "list",
    kmock.action.WATCH: "watch",
    kmock.action.CREATE: "create",
    kmock.action.UPDATE: "patch",
    kmock.action.DELETE: "delete",
}
WRITES: Final = frozenset({"create", "patch", "delete"})


@attrs.define(kw_only=True)
class EmulatedApi(kmock.KubernetesScaffold):
    """Serves a store.

    Attributes:
        calls: how often each verb was used on each resource (``pods``, ``nodepools/status``), refused calls included.
        writes: every call that would change something: verb, resource, name.
        hold: if there is one, calls are answered only once it is set.
        strange: what was asked for that is not of the namespace, or no kind that is served.
        refuse: returns the status to refuse a call with, or 0: ``refuse(verb, resource)``.
    """

    store: ApiStore
    calls: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    writes: list[tuple[str, str, str]] = attrs.field(factory=list)
    hold: asyncio.Event | None = None
    strange: list[str] = attrs.field(factory=list)
    refuse: Callable[[str, str], int] = lambda _verb, _resource: 0
    _watches: set[asyncio.Event] = attrs.field(factory=set)
    _closing: bool = False

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for plural, served in SERVED.items():
            subresources = {"status"} if served.status else set[str]()
            self.resources[f"{served.api}/{plural}"] = kmock.ResourceInfo(
                kind=served.kind, namespaced=True, subresources=subresources, verbs=sorted(set(VERBS.values()))
            )
        # kopf wants to know that there are such, and then asks for none of them.
        self.resources["v1/namespaces"] = kmock.ResourceInfo(kind="Namespace", namespaced=False)
        definitions = "apiextensions.k8s.io/v1/customresourcedefinitions"
        self.resources[definitions] = kmock.ResourceInfo(kind="CustomResourceDefinition", namespaced=False)
        self["get /version/"] << {"gitVersion": "v1.33.1"}
        self.store.observers.append(lambda _change: self._wake())

    async def _handle(self, request: kmock.Request) -> web.StreamResponse:
        """Answer what concerns objects here: kmock's own way compares every request with all that went before."""
        if request.action not in VERBS or request.resource is None or request.resource.plural is None:
            return await super()._handle(request)
        if request.action is kmock.action.WATCH:
            return await rendering.Response(payload=self._watch)(request)
        return await rendering.Response(payload=self._serve)(request)

    def hang_up(self) -> None:
        """End all watches, as a server does that goes."""
        self._closing = True
        self._wake()

    def pick_up(self) -> None:
        self._closing = False

    def _wake(self) -> None:
        for watch in self._watches:
            watch.set()

    def _admit(self, request: kmock.Request) -> tuple[str, str]:
        """Return verb and resource of a call that is not refused."""
        assert request.resource is not None
        assert request.action is not None
        verb, plural = VERBS[request.action], str(request.resource.plural)
        resource = f"{plural}/{request.subresource}" if request.subresource else plural
        if plural not in SERVED or request.namespace != self.store.namespace:
            self.strange.append(f"{verb} {request.url.path}")
            raise kmock.KubernetesResourceNotFoundError
        self.calls[verb, resource] += 1
        if status := self.refuse(verb, resource):
            raise kmock.KubernetesError(status=status, reason="Planted", message=f"planted {status}")
        if verb in WRITES:
            name = request.name or (request.data.get("metadata") or {}).get("name") or ""
            self.writes.append((verb, resource, name))
        return verb, plural

    async def _serve(self, request: kmock.Request) -> Any:
        if self.hold is not None:
            await self.hold.wait()
        verb, plural = self._admit(request)
        name, store = request.name or "", self.store
        try:
            match verb:
                case "get":
                    return store.get(plural, name)
                case "list":
                    # Items of a real list do not say what they are, either.
                    items = [_bare(item) for item in store.list(plural) if _wanted(request, item)]
                    served = SERVED[plural]
                    meta = {"resourceVersion": str(store.version)}
                    return {"apiVersion": served.api, "kind": f"{served.kind}List", "metadata": meta, "items": items}
                case "create":
                    return store.create(plural, request.data)
                case "patch":
                    if request.headers.get("Content-Type") != "application/merge-patch+json":
                        raise Rejected(415, "UnsupportedMediaType", "only merge patches are known here")
                    return store.merge(plural, name, request.data, subresource=request.subresource or "")
                case _:
                    uid = ((request.data or {}).get("preconditions") or {}).get("uid")
                    return store.delete(plural, name, uid=uid)
        except Rejected as error:
            raise kmock.KubernetesError(status=error.status, reason=error.reason, message=str(error)) from error

    async def _watch(self, request: kmock.Request) -> AsyncIterator[Any]:
        _, plural = self._admit(request)
        since = int(request.params.get("resourceVersion") or 0)
        yield b""
        grown = asyncio.Event()
        self._watches.add(grown)
        try:
            while not self._closing:
                grown.clear()
                for change in self.store.changes(plural, since):
                    since = change.version
                    if _wanted(request, change.there):
                        yield _told(change)
                await grown.wait()
        finally:
            self._watches.discard(grown)


def _wanted(request: kmock.Request, there: Manifest) -> bool:
    field, _, name = request.params.get("fieldSelector", "").partition("=")
    if field not in {"", "metadata.name"}:
        raise kmock.KubernetesError(status=400, reason="BadRequest", message=f"no selector for {field}")
    return (not field or there["metadata"]["name"] == name) and selects(request.params.get("labelSelector", ""), there)


def _bare(item: Manifest) -> Manifest:
    return {name: value for name, value in item.items() if name not in {"apiVersion", "kind"}}


def _told(change: Change) -> Manifest:
    return {"type": change.event, "object": change.there}


class ApiServer:
    """A port on which an emulated API answers; it may close for a while, and open again at the same address."""

    def __init__(self, api: EmulatedApi) -> None:
        self.api = api
        self._stack = AsyncExitStack()
        self._port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        self.api.pick_up()
        await self._stack.enter_async_context(self.api)
        server = await self._stack.enter_async_context(kmock.Server(self.api, port=self._port))
        self._port = server.port

    async def close(self) -> None:
        self.api.hang_up()
        await self._stack.aclose()
