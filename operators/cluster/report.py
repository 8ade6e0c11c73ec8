"""Collecting a bundle for a bug report. Everything passes the redactor; Secrets' data is not even read."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import yaml

from operators.cluster.description import Seen, describe
from operators.cluster.errors import ClusterForbids, ClusterRefuses, NotFound, NotInstalled
from operators.cluster.kube import Cluster
from operators.cluster.names import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NETWORK_POLICY,
    NODE_POOL,
    OURS,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_NODE,
    STATEFUL_SET,
    VOLUME_CLAIM,
    Kind,
    Object,
    labels_of,
    name_of,
    status_of,
)
from operators.cluster.object_redaction import describe_secret, names_in, redact_object
from operators.cluster.redaction import Redactor

#: Bounds of what a bundle holds of logs and events.
LOG_LINES: Final = 2000
LOG_BYTES: Final = 256 * 1024
ALL_LOG_BYTES: Final = 64 * 1024 * 1024
EVENTS: Final = 2000
_READ_BYTES: Final = 4 * LOG_BYTES
_CUSTOM: Final = (NODE_POOL, SERVICE_NODE)
_LABELLED: Final = (
    *(POD, STATEFUL_SET, DEPLOYMENT, SERVICE, CONFIG_MAP, VOLUME_CLAIM, LEASE, BUDGET),
    *(NETWORK_POLICY, SERVICE_ACCOUNT, ROLE, ROLE_BINDING),
)

Tell = Callable[[str], None]


class Collection:
    """A bundle that is being collected.

    Attributes:
        texts: what it holds, by path.
        left_out: what it could not get, as sentences of the API server or our own.

    """

    def __init__(self, cluster: Cluster, redactor: Redactor, tell: Tell) -> None:
        self.texts: dict[str, str] = {}
        self.left_out: list[str] = []
        self._cluster = cluster
        self._redactor = redactor
        self._tell = tell
        self._budget = ALL_LOG_BYTES

    async def collect(self) -> None:
        """Collect everything."""
        found = {kind: await self._list(kind, "" if kind in _CUSTOM else OURS) for kind in (*_CUSTOM, *_LABELLED)}
        events = _our_events(await self._list(EVENT, ""), found)
        self._learn([*(thing for things in found.values() for thing in things), *events])
        for kind, things in found.items():
            for thing in things:
                self._add_yaml(f"objects/{kind.plural}/{name_of(thing)}.yaml", redact_object(self._redactor, thing))
        secrets = await self._list(SECRET, OURS, metadata_only=True)
        self._add_yaml("secrets.yaml", [describe_secret(self._redactor, secret) for secret in secrets])
        self._add_yaml("events.yaml", [redact_object(self._redactor, event) for event in events])
        self._add_status(found)
        self._add_yaml("versions.yaml", await self._versions(found))
        for pod in found[POD]:
            await self._add_logs(pod)
        self._add_yaml("left-out.yaml", [self._redactor.text(sentence) for sentence in self.left_out])

    async def _list(self, kind: Kind, selector: str, *, metadata_only: bool = False) -> list[Object]:
        self._tell(kind.plural)
        try:
            return await self._cluster.list(kind, selector, metadata_only=metadata_only)
        except (ClusterForbids, ClusterRefuses, NotFound, NotInstalled) as error:
            self.left_out.append(f"{kind.plural}: {error}")
            return []

    def _learn(self, things: Sequence[Object]) -> None:
        named: dict[str, set[str]] = {}
        for thing in things:
            for kind, name in names_in(thing):
                named.setdefault(kind, set()).add(name)
            self._redactor.learn_keys(json.dumps(thing, default=str))
        for kind, names in named.items():
            self._redactor.learn(kind, names)

    def _add_yaml(self, path: str, document: Any) -> None:
        self.texts[path] = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)

    def _add_status(self, found: Mapping[Kind, list[Object]]) -> None:
        # What could not be listed is missing here; left-out.yaml names it.
        read = (found[NODE_POOL], found[SERVICE_NODE], found[POD], found[LEASE])
        ours = Seen(self._cluster.namespace, *read, at=self._cluster.time)
        self.texts["status.json"] = json.dumps(redact_object(self._redactor, describe(ours)), indent=1)

    async def _versions(self, found: Mapping[Kind, list[Object]]) -> dict[str, Any]:
        charts = {labels_of(thing).get("helm.sh/chart") for things in found.values() for thing in things}
        images = [
            {"image": status.get("image"), "imageID": status.get("imageID")}
            for pod in found[POD]
            for status in status_of(pod).get("containerStatuses") or ()
        ]
        different = {json.dumps(image, sort_keys=True): image for image in images}
        return {
            "naisho": importlib.metadata.version("naisho"),
            "naisho-network": importlib.metadata.version("naisho-network"),
            "python": platform.python_version(),
            "kubernetes": self._redactor.text(await self._cluster.version()),
            "charts": sorted(self._redactor.text(chart) for chart in charts if chart),
            "images": [redact_object(self._redactor, image) for _, image in sorted(different.items())],
        }

    async def _add_logs(self, pod: Object) -> None:
        name, spec = name_of(pod), pod.get("spec") or {}
        statuses = status_of(pod)
        each = [*(statuses.get("initContainerStatuses") or ()), *(statuses.get("containerStatuses") or ())]
        restarted = {status["name"] for status in each if status.get("restartCount")}
        for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
            for previous in (False, True) if container["name"] in restarted else (False,):
                await self._add_log(name, str(container["name"]), previous=previous)

    async def _add_log(self, pod: str, container: str, *, previous: bool) -> None:
        path = f"logs/{pod}/{container}{'.previous' if previous else ''}.log"
        if self._budget <= 0:
            self.left_out.append(f"{path}: the bundle holds {ALL_LOG_BYTES} bytes of logs already")
            return
        self._tell(path)
        try:
            read = await self._cluster.logs(pod, container, lines=LOG_LINES, max_bytes=_READ_BYTES, previous=previous)
        except (ClusterForbids, ClusterRefuses, NotFound) as error:
            self.left_out.append(f"{path}: {error}")
            return
        whole = read.rpartition("\n")[0] + "\n" if len(read.encode()) >= _READ_BYTES else read
        self.texts[path] = self._redactor.text(newest_lines(whole, LOG_BYTES))
        self._budget -= len(self.texts[path].encode())


def newest_lines(text: str, most: int) -> str:
    r"""Return the whole lines at the end of a text that fit into so many characters.

    A half line might be half a key, which no pattern knows.

    >>> newest_lines("one\ntwo\nthree\n", 10)
    'two\nthree\n'
    """
    if len(text) <= most:
        return text
    return text[-most:].partition("\n")[2] if text[-most - 1] != "\n" else text[-most:]


def _our_events(events: Sequence[Object], found: Mapping[Kind, list[Object]]) -> list[Object]:
    """Return the newest events about our objects, of those too that are gone; the namespace may hold other people's."""
    names = {name_of(thing) for things in found.values() for thing in things}
    bases = tuple(f"{name_of(pool)}-" for pool in found[NODE_POOL])

    def about(event: Object) -> str:
        return str((event.get("involvedObject") or {}).get("name", ""))

    def moment(event: Object) -> str:
        return str(event.get("lastTimestamp") or event.get("eventTime") or "")

    ours = [event for event in events if about(event) in names or (bases and about(event).startswith(bases))]
    return sorted(ours, key=moment)[-EVENTS:]
