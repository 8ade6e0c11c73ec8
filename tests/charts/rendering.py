"""What helm makes of the chart, as Python values, and questions that many tests ask of it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "charts" / "naisho"
#: Neither is the chart's name nor that of the other: who takes one for another is found out.
RELEASE: Final = "talk"
NAMESPACE: Final = "quiet"
#: The newest Kubernetes that there are schemas for.
NEWEST: Final = "1.37.0"
_RENDER_WITHIN_S: Final = 50

Manifest: TypeAlias = dict[str, Any]


class RenderFailed(Exception):
    """Helm refused; the text is its standard error."""


class Workload(NamedTuple):
    """An object that makes pods, or is one.

    Attributes:
        owner: the object.
        metadata: of its pods.
        spec: of its pods.
    """

    owner: Manifest
    metadata: Manifest
    spec: Manifest

    @property
    def name(self) -> str:
        """Kind and name of the owner."""
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods."""
        labels: dict[str, str] = self.metadata["labels"]
        return labels

    @property
    def component(self) -> str:
        """Which part of the network it is."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Manifest]:
        """All containers, those that run before the others included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@dataclass(frozen=True, slots=True)
class Rendering:
    """All objects of one situation.

    Attributes:
        situation: name of the values file, without its ending.
        values: as the templates saw them.
        objects: what was rendered, in helm's order.
        text: the same as helm printed it.
    """

    situation: str
    values: Mapping[str, Any]
    objects: tuple[Manifest, ...]
    text: str = field(repr=False)

    @property
    def full_name(self) -> str:
        """Return what all names begin with."""
        return str(self.values["fullnameOverride"] or f"{RELEASE}-naisho")

    def of_kind(self, *kinds: str) -> list[Manifest]:
        """Return the objects of these kinds."""
        return [manifest for manifest in self.objects if manifest["kind"] in kinds]

    def named(self, kind: str, ending: str) -> Manifest:
        """Return the one object of a kind whose name is the full name and ``ending``."""
        (found,) = (one for one in self.of_kind(kind) if one["metadata"]["name"] == self.full_name + ending)
        return found

    def workloads(self) -> list[Workload]:
        """Return everything that makes pods."""
        found = []
        for manifest in self.of_kind("Deployment", "StatefulSet", "Job", "Pod"):
            template = manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]
            found.append(Workload(manifest, template["metadata"], template["spec"]))
        return found

    def node_pool(self) -> Manifest | None:
        """Return the NodePool, whoever makes it."""
        for manifest in self.of_kind("NodePool"):
            return manifest
        for manifest in self.of_kind("ConfigMap"):
            if text := manifest["data"].get("nodepool.json"):
                pool: Manifest = yaml.safe_load(text)
                return pool
        return None


def situations() -> list[str]:
    """Return the names of all values files."""
    return sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def render(helm: Path, *arguments: str | Path, chart: Path = CHART, release: str = RELEASE) -> str:
    """Run ``helm template``; return what it prints.

    Raises:
        RenderFailed: helm refused.
    """
    command: Sequence[str | Path] = [helm, "template", release, chart, "--namespace", NAMESPACE]
    done = subprocess.run(
        [*command, "--kube-version", NEWEST, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_RENDER_WITHIN_S,
    )
    if done.returncode:
        raise RenderFailed(done.stderr)
    return done.stdout


def parse(text: str) -> tuple[Manifest, ...]:
    """Return the objects of a stream of YAML documents."""
    return tuple(one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)


def values_file(situation: str) -> Path:
    """Return the values file of a situation."""
    return CHART / "ci" / f"{situation}.yaml"


@functools.cache
def values_of(situation: str) -> dict[str, Any]:
    """Return the values of a situation, laid over the chart's own as helm does it; not to be changed."""
    return _over(read(CHART / "values.yaml"), read(values_file(situation)))


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping."""
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every value that is no mapping and no list, with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, str(number)))
    else:
        yield path, value


def covers(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether labels are chosen by ``matchLabels``; nothing asked for chooses everything."""
    return selector.items() <= labels.items()


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _over(merged[key], value)
        else:
            merged[key] = value
    return merged
