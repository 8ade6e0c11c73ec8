"""What the Tiltfile asks Tilt for, which is not run here: everything that it names must be there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.charts.helm_binary import NoHelm, find_helm
from tests.charts.rendering import CHART, ROOT, Manifest
from tests.image.dockerfile import stages
from tests.tilt import starlark
from tests.tilt.played_tilt import NAMESPACE, Build, FallBack, PlayedTilt, Resource, Run, Sync

FOLDER: Final = ROOT / "tilt"
TEXT: Final = (FOLDER / "Tiltfile").read_text("utf-8")
PORTS: Final[dict[str, dict[str, int]]] = yaml.safe_load((CHART / "talks.yaml").read_text("utf-8"))["ports"]
COMPONENT: Final = "app.kubernetes.io/component"
WORKLOADS: Final = ("Deployment", "StatefulSet", "Job", "Pod", "DaemonSet", "CronJob", "NodePool")


@pytest.fixture(scope="module")
def helm() -> Path:
    try:
        return find_helm()
    except NoHelm as none:
        pytest.skip(str(none))


@pytest.fixture(scope="module")
def tilt(helm: Path) -> PlayedTilt:
    played = PlayedTilt(FOLDER, helm)
    played.run(TEXT)
    return played


def _images(manifest: Manifest) -> list[str]:
    """Return what Tilt finds by itself: the containers' images; and what it is told of: a NodePool's."""
    if manifest["kind"] == "NodePool":
        return [manifest["spec"]["image"]]
    template = manifest.get("spec", {}).get("template")
    return [container["image"] for container in template["spec"]["containers"]] if template else []


def _repository(image: str) -> str:
    return re.sub(r":[^/:]+$", "", image)


def _build(tilt: PlayedTilt, *, live: bool) -> Build:
    (build,) = (one for one in tilt.builds if bool(one.live_update) is live)
    return build


def _resource(tilt: PlayedTilt, name: str) -> Resource:
    (resource,) = (one for one in tilt.resources if one.name == name)
    return resource


def test_the_values_fit_the_charts_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((FOLDER / "values.yaml").read_text("utf-8"))
    jsonschema.Draft7Validator(schema).validate(values)


def test_the_chart_is_rendered_with_these_values_where_kubectl_points(tilt: PlayedTilt) -> None:
    wanted = ["template", "naisho", str(CHART), "--namespace", NAMESPACE, "--values", str(FOLDER / "values.yaml")]
    assert tilt.helm_arguments == [wanted]
    assert {one["metadata"].get("namespace", NAMESPACE) for one in tilt.objects} == {NAMESPACE}
    assert not any(one["kind"] in ("Pod", "Job") for one in tilt.objects), "Tilt leaves tests out"


def test_images_are_built_as_the_dockerfile_says(tilt: PlayedTilt) -> None:
    assert [(one.context, one.dockerfile) for one in tilt.builds] == [(ROOT, ROOT / "Dockerfile")] * 2
    built = {one.reference for one in tilt.builds}
    used = {_repository(image) for one in tilt.objects for image in _images(one)}
    assert used == built, (
        "one that Tilt does not build would be pulled, one that nobody uses would be built for nothing"
    )


def test_the_node_pools_image_is_known_to_tilt(tilt: PlayedTilt) -> None:
    (pool,) = (one for one in tilt.objects if one["kind"] == "NodePool")
    (kind,) = tilt.kinds
    assert (kind.kind, kind.api_version, kind.image_json_path) == ("NodePool", pool["apiVersion"], "{.spec.image}")
    assert _repository(pool["spec"]["image"]) == _build(tilt, live=False).reference


def test_live_updates_copy_what_the_dockerfile_copies(tilt: PlayedTilt) -> None:
    first, *syncs, run = _build(tilt, live=True).live_update
    assert isinstance(first, FallBack)
    assert isinstance(run, Run)
    places = {one.here.relative_to(ROOT).as_posix(): one.there for one in syncs if isinstance(one, Sync)}
    assert len(places) == len(syncs) == 3
    assert all((ROOT / path).is_dir() for path in places)
    copied = {
        word.rstrip("/")
        for one in stages((ROOT / "Dockerfile").read_text("utf-8"))[0].all("COPY")
        for word in one.words[:-1]
    }
    for path in (*places, *(one.relative_to(ROOT).as_posix() for one in first.paths)):
        assert (ROOT / path).exists()
        assert any(path == word or path.startswith(f"{word}/") for word in copied), f"{path} is not in the image"


def test_live_pods_run_their_command_on_the_copy(tilt: PlayedTilt) -> None:
    script = (FOLDER / "restarting.py").read_text("utf-8")
    live = _build(tilt, live=True)
    packages = re.search(r"PACKAGES = (\(.*\))", script)
    assert packages
    places = {one.there for one in live.live_update if isinstance(one, Sync)}
    assert places == {f"/live/{name}" for name in json.loads(packages[1].replace("(", "[").replace(")", "]"))}
    found = [one for one in tilt.objects if live.reference in _images(one)]
    assert {one["metadata"]["labels"][COMPONENT] for one in found} == {"operator", "custodian"}
    for one in found:
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"][:3] == ["python", "-c", script]
        assert container["command"][3:5] == ["python", "-m"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        (mount,) = (mount for mount in container["volumeMounts"] if mount["mountPath"] == "/live")
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == mount["name"])
        assert volume.keys() == {"name", "emptyDir"}


def test_every_workload_has_its_group_and_every_object_is_in_one_at_most(tilt: PlayedTilt) -> None:
    workloads = {one["metadata"]["name"] for one in tilt.objects if one["kind"] in WORKLOADS}
    assert {one.workload for one in tilt.resources if one.workload} == workloads
    names = [f"{one['metadata']['name']}:{one['kind']}".lower() for one in tilt.objects]
    chosen = [name.lower() for resource in tilt.resources for name in resource.objects]
    assert len(chosen) == len(set(chosen))
    for name in chosen:
        assert names.count(name) == 1, name
    attached = {f"{one['metadata']['name']}:service".lower() for one in tilt.objects if one["kind"] == "Service"}
    kinds = tuple(f":{kind.lower()}" for kind in WORKLOADS)
    assert {name for name in set(names) - set(chosen) - attached if not name.endswith(kinds)} == set()


def test_groups_wait_for_groups_that_there_are_and_never_for_each_other(tilt: PlayedTilt) -> None:
    waits = {one.name: set(one.waits_for) for one in tilt.resources}
    assert len(waits) == len(tilt.resources)
    while free := {name for name, others in waits.items() if not others}:
        waits = {name: others - free for name, others in waits.items() if name not in free}
    assert waits == {}


def test_forwarded_ports_are_open_in_these_pods(tilt: PlayedTilt) -> None:
    operator, nodes = _resource(tilt, "operator"), _resource(tilt, "nodes")
    assert [one.there for one in operator.forwards] == [PORTS["operator"]["metrics"]]
    assert [one.there for one in nodes.forwards] == [PORTS["node"]["seed"]]
    assert nodes.selectors == ({COMPONENT: "node", "app.kubernetes.io/instance": "naisho"},)
    assert {one.name for one in tilt.resources if one.forwards} == {"operator", "nodes"}


def test_what_a_new_image_would_roll_is_begun_by_hand(tilt: PlayedTilt) -> None:
    for one in tilt.objects:
        if one["kind"] in WORKLOADS:
            (resource,) = (each for each in tilt.resources if each.workload == one["metadata"]["name"])
            assert resource.by_hand is (_build(tilt, live=False).reference in map(_repository, _images(one)))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import os", "no Import"),
        ("x = [*[1]]", "unpacks in calls"),
        ("x = f'{1}'", "no JoinedStr"),
        ("x = 1 < 2 < 3", "compares two"),
        ("class X:\n    pass", "no ClassDef"),
        ("def f(x: int):\n    pass", "annotations"),
        ("x = {1, 2}", "no Set"),
        ("while True:\n    pass", "no While"),
        ("x = None is None", "no Is"),
        ("x = (", "never closed"),
    ],
)
def test_what_is_no_starlark_is_noticed(text: str, fault: str) -> None:
    with pytest.raises(SyntaxError, match=fault):
        starlark.parse(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("docker_built('x', '.')", NameError),
        ("docker_build('x', '.', live_updates=[])", TypeError),
        ("k8s_resource('x', port_forward=[])", TypeError),
        ("x = open('Tiltfile')", NameError),
        ("k8s_yaml('a.yaml')", AssertionError),
    ],
)
def test_unknown_functions_and_arguments_are_noticed(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        PlayedTilt(FOLDER, Path("helm")).run(text)


def test_the_readme_says_what_is_not_tried() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert "Tilt itself is not run" in readme
    for link in re.findall(r"\]\(([^)#]+)\)", readme):
        assert link.startswith("http") or (FOLDER / link).exists(), link


def test_yaml_that_tilt_cannot_write_is_noticed() -> None:
    played: Any = PlayedTilt(FOLDER, Path("helm"))
    for value in (None, 1.5, {1: "x"}):
        with pytest.raises(AssertionError):
            played._encode_yaml_stream([{"x": [value]}])
