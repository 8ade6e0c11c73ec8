"""One namespace of a cluster, by kr8s: the only module here that talks to an API server.

Objects are plain mappings as the server gives them. Every request has a time limit; what the server refuses becomes one
of our own errors, so that nobody above knows the library.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import kr8s
import yaml
from kr8s.asyncio import Api

from operators.cluster.errors import (
    BadKubeconfig,
    ClusterForbids,
    ClusterRefuses,
    ClusterUnreachable,
    NotFound,
    NotInstalled,
)
from operators.cluster.names import NODE_POOL, SERVICE_NODE, Kind, Object

ANSWER_WITHIN_S: Final = 30.0
PAGE: Final = 500
#: Only names, labels and annotations of objects: with it, Secrets are listed without their data.
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
_IN_CLUSTER_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


class Target(NamedTuple):
    """Which namespace of which cluster, as kubectl is told it; None for what the configuration says."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


class Cluster:
    """A namespace of a cluster.

    Attributes:
        namespace: its name.
        time: Unix seconds, as the API server said with its last answer; this machine's clock may be off.

    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self.namespace = namespace
        self.time = time.time()

    async def get(self, kind: Kind, name: str) -> Object:
        """Return one object.

        Raises:
            NotFound: there is none of that name.
        """
        found: Object = await self._ask("get", kind, f"{kind.plural}/{name}")
        return found

    async def list(self, kind: Kind, selector: str = "", *, metadata_only: bool = False) -> list[Object]:
        """Return all objects of a kind in the namespace, page by page.

        Args:
            kind: which kind.
            selector: a label selector; empty for all.
            metadata_only: let the server send nothing but the objects' metadata.

        Raises:
            NotInstalled: the cluster does not know this kind of ours.
            NotFound: it does not know another kind.
        """
        parameters = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        headers = {"Accept": METADATA_ONLY} if metadata_only else {}
        found: list[Object] = []
        while True:
            try:
                answer = await self._ask("list", kind, kind.plural, params=parameters, headers=headers)
            except NotFound:
                if kind in (NODE_POOL, SERVICE_NODE):
                    raise NotInstalled from None
                raise
            found += answer.get("items") or []  # a list without data says null when it is empty
            following = answer["metadata"].get("continue")
            if not following:
                return found
            parameters["continue"] = following

    async def annotate(self, kind: Kind, name: str, annotations: Mapping[str, str]) -> Object:
        """Add annotations to an object and return it as it is then.

        Raises:
            NotFound: there is none of that name.
        """
        body = {"metadata": {"annotations": annotations}}
        headers = {"Content-Type": MERGE_PATCH}
        path = f"{kind.plural}/{name}"
        changed: Object = await self._ask("patch", kind, path, content=json.dumps(body), headers=headers)
        return changed

    async def delete(self, kind: Kind, thing: Object) -> None:
        """Delete exactly the object that was read, not another one that has its name now.

        Raises:
            NotFound: it is gone already.
        """
        precondition = {"uid": thing["metadata"]["uid"]} if thing["metadata"].get("uid") else {}
        body = {"propagationPolicy": "Background", "preconditions": precondition}
        await self._ask("delete", kind, f"{kind.plural}/{thing['metadata']['name']}", content=json.dumps(body))

    async def logs(self, pod: str, container: str, *, lines: int, max_bytes: int, previous: bool = False) -> str:
        """Return a container's last lines, with bytes that are no text replaced.

        Raises:
            NotFound: no such container has run.
            ClusterRefuses: the container has not started yet, or its machine does not answer.
        """
        kind = Kind("log", "v1", "pods")
        parameters = {
            "container": container,
            "tailLines": str(lines),
            "limitBytes": str(max_bytes),
            "timestamps": "true",
            "previous": str(previous).lower(),
        }
        answer = await self._send("get", kind, f"pods/{pod}/log", params=parameters)
        return answer.content.decode("utf-8", errors="replace")

    async def version(self) -> str:
        """Return the API server's version."""
        with _our_errors("get", Kind("version", "v1", ""), self.namespace):
            return str((await self._api.version())["gitVersion"])

    async def _ask(self, verb: str, kind: Kind, path: str, **request: Any) -> Any:
        return (await self._send(verb, kind, path, **request)).json()

    async def _send(self, verb: str, kind: Kind, path: str, **request: Any) -> httpx.Response:
        method = {"get": "GET", "list": "GET", "patch": "PATCH", "delete": "DELETE"}[verb]
        with _our_errors(verb, kind, self.namespace):
            async with self._api.call_api(
                method, version=kind.version, namespace=self.namespace, url=path, **request
            ) as response:
                answer: httpx.Response = response
                if said := answer.headers.get("date"):
                    self.time = parsedate_to_datetime(said).timestamp()
                return answer


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Cluster]:
    """Connect to the cluster that kubectl would take with the same options.

    Raises:
        BadKubeconfig: there is no configuration, or it cannot be used.
    """
    with _private_folder():
        # Not by the library's factory: that one asks for the version first, warns of servers that it was not tested
        # with, and leaves its connections open if that fails.
        api = Api(bypass_factory=True, kubeconfig=target.kubeconfig, context=target.context)
        try:
            await _login(api)
            yield Cluster(api, target.namespace or _own_namespace(api))
        finally:
            if (session := api._session) is not None:  # noqa: SLF001 - the library has no way to close it
                await session.aclose()


async def _login(api: Api) -> None:
    try:
        await api.auth
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, yaml.YAMLError) as error:
        # What a damaged configuration makes the library raise has no common kind.
        raise BadKubeconfig(reason=str(error) or type(error).__name__) from error
    api.timeout = ANSWER_WITHIN_S


def _own_namespace(api: Api) -> str:
    """Return the context's namespace; the library looks at the current context, not at the chosen one."""
    chosen = api.auth.active_context
    if chosen:
        return str(api.auth.kubeconfig.get_context(chosen).get("namespace") or "default")
    if _IN_CLUSTER_NAMESPACE.is_file():
        return _IN_CLUSTER_NAMESPACE.read_text(encoding="utf-8").strip()
    return "default"


@contextmanager
def _private_folder() -> Iterator[None]:
    """Let the library write the user's key where it is removed with the command; it would leave it in /tmp."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="naisho-cluster-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def _our_errors(verb: str, kind: Kind, namespace: str) -> Iterator[None]:
    try:
        yield
    except kr8s.ServerError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == _NOT_FOUND:
            raise NotFound(str(error)) from error
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            raise ClusterForbids(verb=verb, kind=kind.name, namespace=namespace) from error
        raise ClusterRefuses(verb=verb, kind=kind.name, status=status, reason=str(error)) from error
    except (httpx.TransportError, kr8s.APITimeoutError) as error:
        raise ClusterUnreachable(reason=str(error) or type(error).__name__) from error
