"""kubectl and helm, awaited."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Longest that one command may take.
PATIENCE_S = 900.0
#: How often is looked; each look costs programs of their own.
LOOK_EVERY_S = 2.0
POOL = "naisho"


class CommandFailed(Exception):
    """A command ended with an error; the text says which and what it said."""


async def command(*arguments: str, patience_s: float = PATIENCE_S) -> str:
    """Run a command and return what it says."""
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(patience_s):
            out, err = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        raise CommandFailed(f"{' '.join(arguments)}: {err.decode()[-2000:]}")
    return out.decode()


@dataclass(frozen=True)
class Installed:
    """One release in one namespace.

    Attributes:
        namespace: where it is.
        chart: the chart's folder.
        release: its name, and its pool's.
    """

    namespace: str
    chart: Path
    release: str = POOL

    async def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return await command("kubectl", "--namespace", self.namespace, *arguments)

    async def get(self, *what: str) -> Any:
        """Return objects as the API server tells them."""
        return json.loads(await self.kubectl("get", *what, "--output", "json"))

    async def apply(self, manifest: Mapping[str, Any]) -> None:
        """Make an object, or bring it to what is wanted."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(manifest, file)
            file.flush()
            await self.kubectl("apply", "--filename", file.name)

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any], *, subresource: str = "") -> None:
        """Merge a patch into an object (RFC 7396)."""
        part = ("--subresource", subresource) if subresource else ()
        await self.kubectl("patch", kind, name, *part, "--type", "merge", "--patch", json.dumps(patch))

    async def helm(self, *arguments: str) -> str:
        """Run helm in the namespace."""
        return await command("helm", "--namespace", self.namespace, *arguments)

    async def install(self, image: str, *settings: str, wait: bool = True) -> None:
        """Install, or bring to another image and other values.

        Args:
            image: name and tag.
            settings: values that are not the chart's, as for ``--set``.
            wait: until helm finds everything ready.
        """
        repository, _, tag = image.rpartition(":")
        values = ("--set", ",".join((f"image.repository={repository}", f"image.tag={tag}", *settings)))
        waiting = ("--wait", "--timeout", "10m") if wait else ()
        # Definitions that somebody else brought along stay when he goes, and are taken over.
        taken = ("--create-namespace", "--take-ownership")
        await self.helm("upgrade", "--install", self.release, str(self.chart), *values, *waiting, *taken)

    async def pool(self) -> dict[str, Any]:
        """Return the NodePool."""
        pool: dict[str, Any] = await self.get("nodepool", self.release)
        return pool

    async def until(self, what: str, holds: Callable[[], Any], *, patience_s: float = PATIENCE_S) -> None:
        """Wait until an awaitable condition holds; failing calls count as not holding."""
        said = ""
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    try:
                        if await holds():
                            return
                    except CommandFailed as error:
                        said = str(error)
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise CommandFailed(f"not within {patience_s:.0f} s: {what}. {said}") from None

    async def whole(self) -> bool:
        """Tell whether everything is as it should be: pool, nodes, log, custodian, operator."""
        pool, sets, deployment = await asyncio.gather(
            self.pool(), self.get("statefulsets"), self.get("deployment", f"{self.release}-operator")
        )
        if not well(pool):
            return False
        complete: bool = all(
            (item.get("status") or {}).get("readyReplicas", 0) == item["spec"]["replicas"]
            and (item.get("status") or {}).get("updatedReplicas", 0) == item["spec"]["replicas"]
            for item in sets["items"]
        )
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        return complete and bool(ready == deployment["spec"]["replicas"])


def well(pool: dict[str, Any]) -> bool:
    """Tell whether a NodePool says of its present spec that all is done and well."""
    status = pool.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    return bool(
        status.get("observedGeneration") == pool["metadata"]["generation"]
        and conditions.get("Ready", {}).get("status") == "True"
        and conditions.get("Progressing", {}).get("status") == "False"
        and conditions.get("Degraded", {}).get("status") == "False"
        and status.get("updatedReplicas") == status.get("replicas") == pool["spec"]["replicas"]
    )
