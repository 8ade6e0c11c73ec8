"""The few calls to the Kubernetes API that the operator needs, in one namespace."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final, NamedTuple, cast

import httpx
import kr8s
from kr8s.asyncio import Api

from operators.membership.kube.errors import ClusterAway, Conflict, Forbidden, KubeError, Refused
from operators.membership.manifests.site import API, Manifest

#: Of one call, in seconds.
TIMEOUT_S: Final = 15.0
_MERGE: Final = {"content-type": "application/merge-patch+json"}


class Kind(NamedTuple):
    """Where objects of a kind are found."""

    api: str
    plural: str


CONFIG_MAPS: Final = Kind("v1", "configmaps")
EVENTS: Final = Kind("v1", "events")
PODS: Final = Kind("v1", "pods")
SECRETS: Final = Kind("v1", "secrets")
SERVICES: Final = Kind("v1", "services")
VOLUME_CLAIMS: Final = Kind("v1", "persistentvolumeclaims")
STATEFUL_SETS: Final = Kind("apps/v1", "statefulsets")
BUDGETS: Final = Kind("policy/v1", "poddisruptionbudgets")
LEASES: Final = Kind("coordination.k8s.io/v1", "leases")
NODE_POOLS: Final = Kind(API, "nodepools")
SERVICE_NODES: Final = Kind(API, "servicenodes")


class Cluster:
    """One namespace, as the operator's account may see it.

    Args:
        api: the connection; see ``connect``.
        namespace: the only one that is looked into.

    Attributes:
        calls: how often each verb was used on each kind, ``get pods``; what the Role must allow.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self.namespace = namespace
        self.calls: Counter[tuple[str, str]] = Counter()
        #: Calls that failed, by whatever.
        self.failures = 0

    @classmethod
    async def connect(cls, namespace: str, *, url: str | None = None) -> Cluster:
        """Connect as the pod's service account, or by the kubeconfig that is at hand.

        Raises:
            ClusterAway: neither can be used, or nobody answers.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                api = await kr8s.asyncio.api(url=url, namespace=namespace)
        except (OSError, ValueError, httpx.HTTPError, kr8s.ServerError, kr8s.APITimeoutError) as error:
            raise ClusterAway(f"there is no way to the Kubernetes API: {error}") from error
        api.timeout = TIMEOUT_S
        return cls(api, namespace)

    async def close(self) -> None:
        """Close all connections; a further call would open new ones."""
        if (session := self._api._session) is not None:  # noqa: SLF001 - the library has no way to close it
            await session.aclose()

    async def get(self, kind: Kind, name: str) -> Manifest | None:
        """Return an object, or ``None`` if there is none."""
        return await self._call("get", kind, "GET", name)

    async def list(self, kind: Kind, selector: str = "") -> list[Manifest]:
        """Return all objects with these labels, each with its kind: items of a list do not say it themselves.

        Raises:
            ClusterAway: the API server does not answer, or does not know such objects (yet).
        """
        answer = await self._call("list", kind, "GET", params={"labelSelector": selector} if selector else {})
        if answer is None:
            self.failures += 1
            raise ClusterAway(f"{kind.plural} are not served (yet): are the resource definitions installed?")
        typed = {"apiVersion": kind.api, "kind": answer["kind"].removesuffix("List")}
        return [typed | item for item in answer["items"]]

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Make an object.

        Raises:
            Conflict: one of that name is there already.
        """
        answer = await self._call("create", kind, "POST", json={"apiVersion": kind.api, **manifest})
        assert answer is not None
        return answer

    async def merge(self, kind: Kind, name: str, patch: Manifest, *, subresource: str = "") -> Manifest | None:
        """Change some fields of an object (RFC 7396); return it, or ``None`` if it is gone.

        Raises:
            Conflict: the patch names a ``resourceVersion``, and the object has been changed since.
        """
        path = f"{name}/{subresource}" if subresource else name
        named = Kind(kind.api, f"{kind.plural}/{subresource}") if subresource else kind
        return await self._call("patch", kind, "PATCH", path, counted=named, json=patch, headers=_MERGE)

    async def delete(self, kind: Kind, name: str, *, uid: str | None = None) -> None:
        """Remove an object, if it is there (and still this one)."""
        options: Manifest = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._call("delete", kind, "DELETE", name, json=options)

    async def _call(
        self, verb: str, kind: Kind, method: str, path: str = "", *, counted: Kind | None = None, **request: Any
    ) -> Manifest | None:
        """Ask once; ``None`` if there is no such object.

        Raises:
            ClusterAway, Forbidden, Conflict, Refused: see there.
        """
        self.calls[verb, (counted or kind).plural] += 1
        url = f"{kind.plural}/{path}" if path else kind.plural
        try:
            async with self._api.call_api(
                method, version=kind.api, namespace=self.namespace, url=url, **request
            ) as response:
                return cast("Manifest", response.json())
        except kr8s.ServerError as error:
            status = error.response.status_code if error.response is not None else 500
            if status == httpx.codes.NOT_FOUND and method != "POST":
                return None
            self.failures += 1
            raise _error(status, f"{verb} {kind.plural} {path}: {error}") from error
        except (httpx.HTTPError, kr8s.APITimeoutError, OSError, ValueError) as error:
            self.failures += 1
            raise ClusterAway(f"{verb} {kind.plural} {path}: {error or type(error).__name__}") from error


def _error(status: int, text: str) -> KubeError:
    match status:
        case httpx.codes.FORBIDDEN | httpx.codes.UNAUTHORIZED:
            return Forbidden(text)
        case httpx.codes.CONFLICT:
            return Conflict(text)
        case _ if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
            return ClusterAway(text)
        case _:
            return Refused(text)
