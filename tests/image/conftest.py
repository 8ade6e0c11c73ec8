"""Both distributions' wheels, and the environment that the image holds, made once for all tests that look at them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster import environment, image, recipe
from tests.cluster.lock import LOCK, ROOT
from tests.cluster.oci import Layer

_WITHIN_S = 50.0


class Installed(NamedTuple):
    """The image's environment, laid out in a folder of this machine."""

    root: Path

    @property
    def programs(self) -> Path:
        """Return where the environment's programs lie."""
        return self.root / recipe.PREFIX.lstrip("/") / "bin"

    @property
    def modules(self) -> Path:
        """Return where its packages lie."""
        return self.root / environment.SITE_PACKAGES.lstrip("/")

    def run(
        self, command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs as a container would: the image's variables and no others.

        Args:
            command: as the chart gives it. A script names the image's interpreter, which is not on this machine, so
                it is given to the environment's own.
            folder: the working directory.
            variables: instead of the image's own.
        """
        program = self.programs / command[0]
        script = program.read_bytes()[:2] == b"#!"
        whole = [*([str(self.programs / "python")] if script else []), str(program), *command[1:]]
        given = {**(recipe.ENVIRONMENT if variables is None else variables), "HOME": str(folder)}
        return subprocess.run(
            whole, cwd=folder, env=given, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree as it is now: what is compared with it may take minutes, and people go on editing."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    environment.copy_sources(ROOT, copy)
    (copy / "requirements").mkdir()
    shutil.copy2(ROOT / LOCK, copy / LOCK)
    return copy


@pytest.fixture(scope="session")
def wheels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return both wheels, by the name of their distribution."""
    built = environment.build_wheels(tmp_path_factory.mktemp("wheels"), source)
    return {path.name.partition("-")[0]: path for path in built}


@pytest.fixture(scope="session")
def dependencies(source: Path) -> Layer:
    """Return the image's second layer: from the cache if that was made of the same lock by the same steps."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the image's Python is 3.11, and its packages are chosen by the one that builds")
    return image.dependencies_layer(image.CACHE, source)


@pytest.fixture(scope="session")
def installed(wheels: dict[str, Path], dependencies: Layer, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return the environment with our own distributions in it, able to run on this machine."""
    root = tmp_path_factory.mktemp("installed")
    with tarfile.open(dependencies.blob) as tar:
        tar.extractall(root)  # our own
    code = tmp_path_factory.mktemp("code")
    environment.install_wheels(list(wheels.values()), code)
    shutil.copytree(code, root, symlinks=True, dirs_exist_ok=True)
    found = Installed(root)
    interpreter = Path(os.path.realpath(sys.executable))  # the image's own need not be at the same place here
    (found.programs / "python").unlink()
    (found.programs / "python").symlink_to(interpreter)
    (found.programs.parent / "pyvenv.cfg").write_text(
        f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
    )
    return found
