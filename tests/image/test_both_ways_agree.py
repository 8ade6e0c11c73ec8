"""The Dockerfile and the build without Docker give the same image."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cluster import environment, recipe
from tests.image.dockerfile import ROOT, ours


def test_environment_variables() -> None:
    assert ours()[-1].pairs("ENV") == recipe.ENVIRONMENT


def test_python_is_kept_from_the_working_directory_and_from_holding_lines_back() -> None:
    assert recipe.ENVIRONMENT["PYTHONSAFEPATH"] == "1"
    assert recipe.ENVIRONMENT["PYTHONUNBUFFERED"] == "1"


def test_labels() -> None:
    assert ours()[-1].pairs("LABEL") == recipe.labels()


def test_user_and_group() -> None:
    last = ours()[-1]
    assert last.one("USER").value == f"{recipe.USER}:{recipe.USER}"
    (run,) = last.all("RUN")
    assert f"groupadd --gid {recipe.USER} naisho" in run.value
    assert f"useradd --uid {recipe.USER} --gid {recipe.USER} --home-dir {recipe.ENVIRONMENT['HOME']} " in run.value


def test_command_and_working_directory() -> None:
    last = ours()[-1]
    assert json.loads(last.one("CMD").value) == list(recipe.COMMAND)
    assert last.one("WORKDIR").value == recipe.WORKING_DIRECTORY


def test_debian_packages() -> None:
    build, last = ours()
    installed = re.compile(r"apt-get install --yes --no-install-recommends ([^&]*) &&")
    for stage, wanted in ((last, recipe.DEBIAN_NAMED), (build, (*recipe.DEBIAN_NAMED, "python3.11-venv"))):
        found = installed.search(stage.all("RUN")[0].value)
        assert found
        assert found[1].split() == list(wanted)
    assert set(recipe.DEBIAN_NAMED) <= set(recipe.DEBIAN_ALL)


def test_mount_points() -> None:
    (run,) = ours()[-1].all("RUN")
    made = re.search(r"mkdir -p ([^&]*)$", run.value)
    assert made
    assert {*made[1].split(), "/tmp"} == {f"/{place}" for place in recipe.MOUNT_POINTS}


def test_the_files_of_both_layers_are_made_by_the_same_module_from_the_same_sources() -> None:
    build = ours()[0]
    runs = [run.value for run in build.all("RUN")]
    assert "/build/bin/python -m tests.cluster.environment dependencies /dependencies" in runs
    assert "/build/bin/python -m tests.cluster.environment code /code" in runs
    assert any(run.startswith("python3.11 -m tests.cluster.lock build >/build.txt") for run in runs)
    sources = {word.rstrip("/") for copy in build.all("COPY") for word in copy.words[:-1]}
    recipe_itself = {f"tests/cluster/{name}.py" for name in ("__init__", "bytecode", "environment", "lock", "recipe")}
    assert sources - recipe_itself - {"requirements/lock.txt", "services/client/pyproject.toml"} == set(
        environment.SOURCES
    )
    assert recipe_itself <= sources


def test_what_the_build_stage_runs_needs_no_module_that_it_does_not_copy() -> None:
    copied = {Path(word).stem for copy in ours()[0].all("COPY") for word in copy.words if word.startswith("tests/")}
    for name in ("environment", "lock", "bytecode", "recipe"):
        text = (ROOT / "tests" / "cluster" / f"{name}.py").read_text(encoding="utf-8")
        assert set(re.findall(r"^from tests\.cluster\.(\w+) import", text, re.MULTILINE)) <= copied
        assert not re.search(r"^from tests\.cluster import", text, re.MULTILINE)
