"""One operator at a time: whoever holds the Lease works, the others wait until it is given back or has run out.

A holder that cannot renew in time ends its process rather than go on beside another. Even if two wrote for a moment,
the log takes the directory of only one of them (``TakenOver``).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from operators.membership.kube.cluster import LEASES, Cluster
from operators.membership.kube.errors import ClusterAway, Conflict, LeadershipLost
from operators.membership.manifests.site import Manifest, Site
from services.chassis.clock import Clock

_RETRY_S: Final = 2.0


def lease_of(site: Site) -> str:
    """Return the name of an install's Lease."""
    return f"{site.install}-operator"


class Leadership:
    """The Lease of an install.

    Args:
        cluster: where it lies.
        site: how things are called.
        holder: who asks, the pod's name.
        clock: the time.
        lasts_s: how long a holder is believed without a word.
        renew_s: how often it says a word.
    """

    def __init__(
        self, cluster: Cluster, site: Site, holder: str, clock: Clock, *, lasts_s: float, renew_s: float
    ) -> None:
        self._cluster = cluster
        self._site = site
        self._name = lease_of(site)
        self._holder = holder
        self._clock = clock
        self._lasts_s = lasts_s
        self._renew_s = renew_s
        self._renewed_at = 0.0
        #: What the Lease said when it was seen first, and when that was: clocks of two machines are not compared.
        self._seen: tuple[str, float] = ("", 0.0)
        #: Whether this operator is the one that works.
        self.held = False

    async def acquire(self) -> None:
        """Wait until this operator may work."""
        while not await self._taken():
            await self._clock.sleep(_RETRY_S)
        self.held = True

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeadershipLost: another holds it, or it could not be renewed in time.
        """
        pause_s = self._renew_s
        while True:
            await self._clock.sleep(pause_s)
            pause_s = self._renew_s
            try:
                # An answer that comes after the lease has run out comes too late.
                async with asyncio.timeout(self._renewed_at + self._lasts_s - self._clock.monotonic()):
                    held = await self._renew()
            except (ClusterAway, TimeoutError):
                held, pause_s = True, _RETRY_S  # as far as is known
            if not held or self._clock.monotonic() - self._renewed_at >= self._lasts_s:
                self.held = False
                raise LeadershipLost("another operator holds the lease, or it could not be renewed in time")

    async def release(self) -> None:
        """Give the Lease back, so that the next one need not wait."""
        if not self.held:
            return
        self.held = False
        lease = await self._cluster.get(LEASES, self._name)
        if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self._holder:
            version = lease["metadata"]["resourceVersion"]
            await self._cluster.merge(
                LEASES, self._name, {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
            )

    async def _taken(self) -> bool:
        try:
            return await self._try()
        except Conflict:
            return False

    async def _renew(self) -> bool:
        try:
            return await self._try()
        except Conflict:  # somebody has taken it, or has changed something else in it
            return await self._taken()

    async def _try(self) -> bool:
        """Take or renew the Lease; tell whether this operator holds it now.

        Raises:
            Conflict: it was changed between a look and a touch.
        """
        started = self._clock.monotonic()
        lease = await self._cluster.get(LEASES, self._name)
        if lease is None:
            await self._cluster.create(
                LEASES, {"metadata": self._site.meta(self._name, "operator"), "spec": self._spec(0)}
            )
        elif self._may_take(lease):
            taken = (lease.get("spec") or {}).get("leaseTransitions") or 0
            if (lease.get("spec") or {}).get("holderIdentity") != self._holder:
                taken += 1
            patch: Manifest = {
                "metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]},
                "spec": self._spec(taken),
            }
            if await self._cluster.merge(LEASES, self._name, patch) is None:
                raise Conflict(f"Lease {self._name} is gone")
        else:
            return False
        self._renewed_at = started
        return True

    def _may_take(self, lease: Manifest) -> bool:
        spec = lease.get("spec") or {}
        holder, word = spec.get("holderIdentity") or "", f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        if holder in {"", self._holder}:
            return True
        now = self._clock.monotonic()
        if self._seen[0] != word:
            self._seen = (word, now)
        return now - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._lasts_s)

    def _spec(self, transitions: int) -> Manifest:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": round(self._lasts_s),
            "renewTime": now,
            "leaseTransitions": transitions,
        }
