"""What settings name is mounted, what is mounted exists, and nothing is mounted that nobody names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tests.charts.rendering import Manifest, Rendering, Workload

_PATH: Final = re.compile(r"(?<![\w.:/])/(?:etc|var|run|data|tmp|report)(?:/[\w.-]+)*")
#: What the operator writes into its objects (docs/adr/0014): files by the end of the object's name.
_OPERATORS: Final = {
    "network": {"network.json", "network-id"},
    "custodian-nats": {"user.key", "user.jwt", "ca.crt"},
    "nats-auth": {"auth.conf"},
    "nats-tls": {"ca.crt", "tls.crt", "tls.key"},
}


def test_every_path_lies_in_a_volume(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for container in load.containers:
            for path in _named(rendering, load, container):
                assert _volume(container, path) is not None, f"{load.name}: {path} is in no volume"


def test_every_file_of_ours_is_there(rendering: Rendering) -> None:
    for load in rendering.workloads():
        volumes = _volumes(load)
        for container in load.containers:
            for path in _named(rendering, load, container):
                mount = _volume(container, path)
                assert mount is not None
                files = _files(rendering, volumes[mount["name"]])
                below = path.relative_to(mount["mountPath"])
                if files is not None and below.parts:
                    assert str(below) in files, f"{load.name}: {path}"


def test_every_volume_is_mounted_and_every_mount_has_one(rendering: Rendering) -> None:
    for load in rendering.workloads():
        mounted = {mount["name"] for container in load.containers for mount in container["volumeMounts"]}
        assert mounted == _volumes(load).keys(), load.name


def test_every_mounted_folder_is_named(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for container in load.containers:
            named = _named(rendering, load, container)
            for mount in container["volumeMounts"]:
                folder = PurePosixPath(mount["mountPath"])
                used = folder == PurePosixPath("/tmp") or any(path.is_relative_to(folder) for path in named)
                assert used, f"{load.name}: {folder}"


def test_what_is_not_written_is_mounted_for_reading(rendering: Rendering) -> None:
    for load in rendering.workloads():
        volumes = _volumes(load)
        for container in load.containers:
            for mount in container["volumeMounts"]:
                volume = volumes[mount["name"]]
                written = volume is None or volume.keys() & {"emptyDir", "persistentVolumeClaim"}
                assert mount.get("readOnly", False) is not bool(written), mount["mountPath"]


def _named(rendering: Rendering, load: Workload, container: Manifest) -> list[PurePosixPath]:
    """Return the paths that a container is told of, in its command, its environment and its settings file."""
    texts = [*container["command"], *container.get("args", [])]
    texts += [entry["value"] for entry in container.get("env", []) if "value" in entry]
    texts += container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    for manifest in rendering.of_kind("ConfigMap"):
        if manifest["metadata"]["name"] == f"{rendering.full_name}-{load.component}":
            texts += [text.replace('"./', '"/etc/nats/') for text in manifest["data"].values()]
    return [PurePosixPath(found) for text in texts for found in _PATH.findall(text)]


def _volume(container: Manifest, path: PurePosixPath) -> Manifest | None:
    """Return the innermost mount that a path lies in."""
    mounts = [mount for mount in container["volumeMounts"] if path.is_relative_to(mount["mountPath"])]
    return max(mounts, key=lambda mount: len(mount["mountPath"]), default=None)


def _volumes(load: Workload) -> dict[str, Manifest | None]:
    """Return a pod's volumes by name; ``None`` for those that are claimed."""
    claimed = load.owner["spec"].get("volumeClaimTemplates", [])
    return {volume["name"]: volume for volume in load.spec["volumes"]} | {
        one["metadata"]["name"]: None for one in claimed
    }


def _files(rendering: Rendering, volume: Manifest | None) -> set[str] | None:
    """Return the files of a volume that is made of ConfigMaps and Secrets; ``None`` for any other."""
    if volume is None:
        return None
    sources = volume.get("projected", {}).get("sources") or [volume]
    files: set[str] = set()
    for kind, name, items in _sources(sources):
        content = _content(rendering, kind, name)
        files |= {item["path"] for item in items} if items else content
        assert {item["key"] for item in items} <= content, name
    return files or None


def _sources(sources: list[Manifest]) -> Iterator[tuple[str, str, list[Manifest]]]:
    for source in sources:
        for kind in ("configMap", "secret"):
            if kind in source:
                held = source[kind]
                yield kind, held.get("name") or held["secretName"], held.get("items", [])


def _content(rendering: Rendering, kind: str, name: str) -> set[str]:
    for manifest in rendering.of_kind("ConfigMap"):
        if kind == "configMap" and manifest["metadata"]["name"] == name:
            return set(manifest["data"])
    return _OPERATORS[name.removeprefix(rendering.full_name + "-")]
