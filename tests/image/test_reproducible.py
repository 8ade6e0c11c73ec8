"""The same input gives the same image: each layer is made twice, from nothing, and compared."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from tests.cluster import debian, environment, image, recipe
from tests.cluster.lock import subset
from tests.cluster.oci import Layer, pack_layer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # the first fills the cache, maybe on a busy machine

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="the base is made of Debian packages")


def _names(layer: Layer) -> set[str]:
    with tarfile.open(layer.blob) as tar:
        return {member.name for member in tar.getmembers()}


def test_our_own_layer(source: Path, wheels: dict[str, Path], tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    environment.install_wheels(list(wheels.values()), first)
    (tmp_path / "work").mkdir()
    built = environment.build_wheels(tmp_path / "work", source)
    assert {path.name: path.read_bytes() for path in built} == {
        path.name: path.read_bytes() for path in wheels.values()
    }
    environment.install_wheels(built, again)
    one, two = pack_layer(first, tmp_path / "one"), pack_layer(again, tmp_path / "two")
    assert one.digest == two.digest
    assert not [name for name in _names(one) if name.endswith("bin/python")]  # the other layer's


def test_what_the_lock_names_is_what_the_cache_holds(source: Path, dependencies: Layer, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    environment.install_locked(subset("run", source), tmp_path / "again", tmp_path / "work")
    assert pack_layer(tmp_path / "again", tmp_path / "layer").digest == dependencies.digest


@needs_apt
def test_the_base(tmp_path: Path) -> None:
    packages = debian.candidates(recipe.DEBIAN_ALL)
    files = debian.fetch(packages, image.CACHE / "debs")
    layers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        debian.lay_out(files if name == "one" else list(reversed(files)), tmp_path / name)
        layers.append(pack_layer(tmp_path / name, tmp_path / f"{name}.layer"))
    assert layers[0].digest == layers[1].digest
    names = _names(layers[0])
    assert "usr/bin/python3.11" in names
    assert not [name for name in names if name.rsplit("/", 1)[-1] in {"sh", "bash", "dash", "busybox", "apt-get"}]


@needs_apt
def test_a_package_that_was_changed_in_the_cache_is_fetched_again_or_refused(tmp_path: Path) -> None:
    (package,) = debian.candidates(["media-types"])
    (kept,) = debian.fetch([package], image.CACHE / "debs")
    (tmp_path / kept.name).write_bytes(kept.read_bytes()[:-1] + b"x")
    wrong = package._replace(sha256="0" * 64)
    with pytest.raises(RuntimeError, match="could not fetch media-types"):
        debian.fetch([wrong], tmp_path)


@needs_apt
def test_an_unknown_package_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not know"):
        debian.candidates(["media-types", "no-such-package-at-all"])


@needs_apt
def test_a_whole_image_from_the_cache_is_the_same_and_another_label_changes_no_layer(
    source: Path, tmp_path: Path
) -> None:
    first = image.build(tmp_path / "1.tar", "naisho:1", tree=source)
    again = image.build(tmp_path / "2.tar", "naisho:1", tree=source)
    other = image.build(tmp_path / "3.tar", "naisho:2", tree=source, labels={"org.opencontainers.image.version": "2"})
    assert first.digest == again.digest
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    assert other.digest != first.digest
    assert [layer.digest for layer in other.layers] == [layer.digest for layer in first.layers]
    assert sum(layer.size for layer in first.layers) < 250_000_000
