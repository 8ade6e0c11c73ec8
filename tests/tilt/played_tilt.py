"""As much of Tilt as our Tiltfile uses: functions of the same names and arguments, which write down what was asked for.

Names and arguments are those of Tilt's API reference (https://docs.tilt.dev/api.html). `helm` runs helm as Tilt does:
with the chart, the release's name, the namespace, values and single values, and leaves out what lies in a folder of
tests.
"""

from __future__ import annotations

import builtins
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.charts.rendering import Manifest, parse
from tests.tilt import starlark

NAMESPACE: Final = "where-kubectl-points"
_RENDER_WITHIN_S: Final = 50


class Blob(str):
    """Text that Tilt knows from a path."""

    __slots__ = ()


class Build(NamedTuple):
    """A ``docker_build``; paths are absolute."""

    reference: str
    context: Path
    dockerfile: Path
    live_update: tuple[Any, ...]


class FallBack(NamedTuple):
    """A ``fall_back_on``."""

    paths: tuple[Path, ...]


class Sync(NamedTuple):
    """A ``sync``."""

    here: Path
    there: str


class Run(NamedTuple):
    """A ``run``."""

    command: str | list[str]


class Forward(NamedTuple):
    """A ``port_forward``."""

    here: int
    there: int


class Kind(NamedTuple):
    """A ``k8s_kind``."""

    kind: str
    api_version: str | None
    image_json_path: str | list[str]


class Resource(NamedTuple):
    """A ``k8s_resource``."""

    workload: str
    name: str
    objects: tuple[str, ...]
    forwards: tuple[Forward, ...]
    waits_for: tuple[str, ...]
    by_hand: bool
    selectors: tuple[dict[str, str], ...]


@dataclass
class PlayedTilt:
    """What a Tiltfile asked for.

    Attributes:
        folder: where the Tiltfile lies.
        helm_program: the helm to run.
    """

    folder: Path
    helm_program: Path
    builds: list[Build] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    objects: list[Manifest] = field(default_factory=list)
    helm_arguments: list[list[str]] = field(default_factory=list)

    def run(self, text: str) -> None:
        """Run a Tiltfile.

        Raises:
            SyntaxError: it is no Starlark.
            NameError: it uses a function that there is not, or that is not played here.
            TypeError: it calls one with other arguments than it has.
        """
        code = compile(starlark.parse(text), str(self.folder / "Tiltfile"), "exec")
        own = {name: getattr(self, f"_{name}") for name in FUNCTIONS}
        known = {name: getattr(builtins, name) for name in starlark.BUILTIN if hasattr(builtins, name)}
        exec(code, {"__builtins__": known, "TRIGGER_MODE_AUTO": False, "TRIGGER_MODE_MANUAL": True, **own})

    def _docker_build(
        self, ref: str, context: str, *, dockerfile: str = "Dockerfile", live_update: list[Any] | None = None
    ) -> None:
        self.builds.append(Build(ref, self._path(context), self._path(dockerfile), tuple(live_update or ())))

    def _fall_back_on(self, files: str | list[str]) -> FallBack:
        return FallBack(tuple(self._path(file) for file in ([files] if isinstance(files, str) else files)))

    def _sync(self, local_path: str, remote_path: str) -> Sync:
        return Sync(self._path(local_path), remote_path)

    def _run(self, cmd: str | list[str], trigger: str | list[str] | None = None) -> Run:
        assert trigger is None, "not played"
        return Run(cmd)

    def _helm(
        self,
        pathToChartDir: str,  # noqa: N803 - Tilt's name
        *,
        name: str = "",
        namespace: str = "",
        values: str | list[str] = (),  # type: ignore[assignment]  # as Tilt tells it, which changes nothing of it
        set: str | list[str] = (),  # type: ignore[assignment]  # noqa: A002 - Tilt's name
    ) -> Blob:
        arguments = ["template", name, str(self._path(pathToChartDir)), "--namespace", namespace]
        for file in [values] if isinstance(values, str) else values:
            arguments += ["--values", str(self._path(file))]
        for one in [set] if isinstance(set, str) else set:
            arguments += ["--set", one]
        self.helm_arguments.append(arguments)
        done = subprocess.run(
            [self.helm_program, *arguments], capture_output=True, text=True, check=True, timeout=_RENDER_WITHIN_S
        )
        kept = [one for one in done.stdout.split("---\n") if not re.search(r"^# Source: .*/tests/", one, re.MULTILINE)]
        return Blob("---\n".join(kept))

    def _k8s_namespace(self) -> str:
        return NAMESPACE

    def _k8s_kind(self, kind: str, api_version: str | None = None, *, image_json_path: str | list[str] = "") -> None:
        self.kinds.append(Kind(kind, api_version, image_json_path))

    def _k8s_yaml(self, yaml: Blob, *, allow_duplicates: bool = False) -> None:
        assert isinstance(yaml, Blob), "a path would be read as text"
        assert not allow_duplicates
        self.objects += parse(str(yaml))

    def _k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        *,
        port_forwards: list[Forward] | None = None,
        extra_pod_selectors: list[dict[str, str]] | None = None,
        trigger_mode: bool = False,
        resource_deps: list[str] | None = None,
        objects: list[str] | None = None,
        pod_readiness: str = "",
        labels: list[str] | None = None,
        discovery_strategy: str = "",
    ) -> None:
        assert workload or (new_name and objects), "neither a workload nor a new group"
        assert pod_readiness in ("", "wait", "ignore")
        assert discovery_strategy in ("", "default", "selectors-only")
        assert all(re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", label) for label in labels or ())
        self.resources.append(
            Resource(
                workload,
                new_name or workload,
                tuple(objects or ()),
                tuple(port_forwards or ()),
                tuple(resource_deps or ()),
                trigger_mode,
                tuple(extra_pod_selectors or ()),
            )
        )

    def _port_forward(
        self, local_port: int, container_port: int, name: str | None = None, link_path: str | None = None
    ) -> Forward:
        assert name
        assert link_path is None or link_path.startswith("/")
        return Forward(local_port, container_port)

    def _read_file(self, file_path: str) -> Blob:
        return Blob(self._path(file_path).read_text("utf-8"))

    def _decode_yaml_stream(self, yaml: Blob) -> list[Manifest]:
        return list(parse(str(yaml)))

    def _encode_yaml_stream(self, objs: list[Manifest]) -> Blob:
        for one in objs:
            _plain(one)
        return Blob(yaml.safe_dump_all(objs))

    def _path(self, path: str) -> Path:
        return (self.folder / path).resolve()


#: The functions of Tilt that are played.
FUNCTIONS: Final = frozenset(
    name.removeprefix("_")
    for name, value in vars(PlayedTilt).items()
    if name.startswith("_") and not name.startswith("__") and callable(value) and name != "_path"
)


def _plain(value: Any) -> None:
    """Refuse what Tilt cannot write as YAML."""
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _plain(one)
    else:
        assert isinstance(value, str | int | bool), value
