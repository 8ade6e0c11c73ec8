"""Where pools' registers lie: one ConfigMap of the install, an entry for each pool."""

from __future__ import annotations

from operators.membership.domain.pool.register import Register
from operators.membership.kube.cluster import CONFIG_MAPS, Cluster
from operators.membership.kube.errors import Conflict
from operators.membership.manifests.site import Manifest, Site


class Registers:
    """Reads and writes them; nobody else does.

    Args:
        cluster: where they lie.
        site: how things are called.
    """

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site
        self._name = f"{site.install}-register"
        self._version = ""

    async def read(self, pool: str) -> Register:
        """Return a pool's register; an empty one if it has none yet.

        Raises:
            DamagedRegister: it cannot be read.
            KubeError: the API server does not answer, or refuses.
        """
        found = await self._cluster.get(CONFIG_MAPS, self._name)
        if found is None:
            self._version = ""
            return Register()
        self._version = found["metadata"]["resourceVersion"]
        text = (found.get("data") or {}).get(pool)
        return Register() if text is None else Register.parse(text)

    async def write(self, pool: str, register: Register) -> None:
        """Record a pool's register in place of the one that was read or written last.

        Raises:
            Conflict: somebody else has written.
            KubeError: the API server does not answer, or refuses.
        """
        data = {pool: register.render()}
        if not self._version:
            made = await self._cluster.create(
                CONFIG_MAPS, {"metadata": self._site.meta(self._name, "operator"), "data": data}
            )
        else:
            patch: Manifest = {"metadata": {"resourceVersion": self._version}, "data": data}
            changed = await self._cluster.merge(CONFIG_MAPS, self._name, patch)
            if changed is None:
                raise Conflict(f"ConfigMap {self._name} is gone")
            made = changed
        self._version = made["metadata"]["resourceVersion"]
