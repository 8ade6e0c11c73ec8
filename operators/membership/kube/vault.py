"""Secrets and ConfigMaps that outlive everything else: made once, filled up, and never taken away (ADR 14)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import TypeAlias

from operators.membership.kube.cluster import CONFIG_MAPS, SECRETS, Cluster
from operators.membership.kube.errors import Conflict
from operators.membership.manifests.site import Manifest, Site

#: What a Secret holds, by name.
Content: TypeAlias = Mapping[str, bytes]


class Vault:
    """What must survive; without owners, so that nothing takes it along.

    Args:
        cluster: where it lies.
        site: how things are called.
    """

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site

    async def read(self, name: str) -> Content | None:
        """Return a Secret's content, or ``None`` if there is none."""
        secret = await self._cluster.get(SECRETS, name)
        return None if secret is None else _content(secret)

    async def obtain(self, name: str, component: str, make: Callable[[], Content]) -> Content:
        """Return a Secret's content; if there is no such Secret, make it.

        What is there is never replaced, not even by somebody who made the same at the same moment.
        """
        if (known := await self.read(name)) is not None:
            return known
        content = make()
        manifest = {
            "metadata": self._site.meta(name, component),
            "type": "Opaque",
            "data": {key: b64encode(value).decode() for key, value in content.items()},
        }
        try:
            return _content(await self._cluster.create(SECRETS, manifest))
        except Conflict:
            known = await self.read(name)
            if known is None:
                raise
            return known

    async def write(self, name: str, content: Content) -> None:
        """Change some entries of a Secret that is there."""
        data = {key: b64encode(value).decode() for key, value in content.items()}
        await self._cluster.merge(SECRETS, name, {"data": data})

    async def erase(self, name: str) -> None:
        """Remove a Secret that can be made anew."""
        await self._cluster.delete(SECRETS, name)

    async def text(self, name: str, key: str) -> str | None:
        """Return a ConfigMap's entry, or ``None`` if it is not there."""
        found = await self._cluster.get(CONFIG_MAPS, name)
        return None if found is None else (found.get("data") or {}).get(key)

    async def keep_texts(self, name: str, component: str, texts: Mapping[str, str]) -> None:
        """Bring a ConfigMap to these entries, or make it; without a write if it says so already."""
        found = await self._cluster.get(CONFIG_MAPS, name)
        if found is None:
            await self._cluster.create(CONFIG_MAPS, {"metadata": self._site.meta(name, component), "data": dict(texts)})
        elif (found.get("data") or {}) != dict(texts):
            await self._cluster.merge(CONFIG_MAPS, name, {"data": dict(texts)})


def _content(secret: Manifest) -> Content:
    return {key: b64decode(value) for key, value in (secret.get("data") or {}).items()}
