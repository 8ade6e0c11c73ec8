"""What the two distributions hold, as an index would get them."""

from __future__ import annotations

import email
import re
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

SDK = "naisho"
NETWORK = "naisho_network"


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def _about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def _folders(wheel: Path) -> set[str]:
    return {name.split("/")[0] for name in _names(wheel) if ".dist-info/" not in name}


def test_there_are_two(wheels: dict[str, Path]) -> None:
    assert set(wheels) == {SDK, NETWORK}


def test_each_holds_its_own_packages_alone(wheels: dict[str, Path]) -> None:
    assert _folders(wheels[SDK]) == {"naisho"}
    assert _folders(wheels[NETWORK]) == {"services", "operators"}


def test_the_network_holds_no_second_copy_of_the_sdk(wheels: dict[str, Path]) -> None:
    assert not [name for name in _names(wheels[NETWORK]) if name.startswith("services/client")]


def test_neither_holds_tests_bytecode_or_build_files(wheels: dict[str, Path]) -> None:
    for wheel in wheels.values():
        surplus = re.compile(r"(^|/)(tests?|conftest\.py|__pycache__|hatch_protos\.py|build_protos\.py)(/|$)|\.pyc$")
        assert not [name for name in _names(wheel) if surplus.search(name)]


@pytest.mark.parametrize(("half", "distribution"), [("naisho", SDK), ("services", NETWORK), ("operators", NETWORK)])
def test_every_proto_is_in_as_code(source: Path, wheels: dict[str, Path], half: str, distribution: str) -> None:
    protos = [path.relative_to(source / "protos") for path in (source / "protos" / half).rglob("*.proto")]
    assert protos
    names = set(_names(wheels[distribution]))
    for proto in protos:
        assert proto.with_name(f"{proto.stem}_pb2.py").as_posix() in names


def test_every_module_of_the_tree_is_in(source: Path, wheels: dict[str, Path]) -> None:
    names = set(_names(wheels[SDK])) | set(_names(wheels[NETWORK]))
    sdk = source / "services" / "client" / "src"
    modules = [path.relative_to(sdk).as_posix() for path in (sdk / "naisho").rglob("*.py")]
    for folder in ("services", "operators"):
        found = (path.relative_to(source).as_posix() for path in (source / folder).rglob("*.py"))
        modules += [name for name in found if not name.startswith("services/client/")]
    assert len(modules) > 100
    assert not set(modules) - names


@pytest.mark.parametrize("distribution", [SDK, NETWORK])
def test_metadata_is_that_of_the_project(source: Path, wheels: dict[str, Path], distribution: str) -> None:
    folder = source / "services" / "client" if distribution == SDK else source
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = _about(wheels[distribution])
    assert about["Name"] == project["name"]
    assert about["Version"] == project["version"]
    assert about["Summary"] == project["description"]
    assert about["License-Expression"] == "Apache-2.0"
    assert about["License-File"] == "LICENSE"
    assert about["Requires-Python"] == ">=3.11"
    assert about["Description-Content-Type"] == "text/markdown"
    assert len(str(about.get_payload())) > 500  # the index's page is the README
    wanted = {str(Requirement(text)) for text in project["dependencies"]}
    assert {str(Requirement(text)) for text in about.get_all("Requires-Dist", [])} == wanted


def test_both_have_the_same_version(wheels: dict[str, Path]) -> None:
    assert _about(wheels[SDK])["Version"] == _about(wheels[NETWORK])["Version"]


def test_the_network_needs_the_sdk_and_not_the_other_way_round(wheels: dict[str, Path]) -> None:
    def needed(distribution: str) -> set[str]:
        return {Requirement(text).name for text in _about(wheels[distribution]).get_all("Requires-Dist", [])}

    assert "naisho" in needed(NETWORK)
    assert "naisho-network" not in needed(SDK)


def test_metadata_names_nothing_that_an_index_refuses(wheels: dict[str, Path]) -> None:
    for wheel in wheels.values():
        for text in _about(wheel).get_all("Requires-Dist", []):
            assert Requirement(text).url is None  # an index takes no addresses
        assert re.fullmatch(r"[a-z_]+-[0-9.]+-py3-none-any\.whl", wheel.name)
