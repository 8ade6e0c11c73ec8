"""Layers and archives: the same files give the same bytes, whoever owns them and whenever they were written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.oci import Config, Layer, full_name, pack_layer, write_archive

CONFIG = Config({"A": "1"}, "10001:10001", "/", ("naisho",), {"version": "1"})


def _fill(root: Path, *, when: int, backwards: bool, mask: int) -> None:
    names = ["b", "a/x", "a-", "a/y", "Z"]
    for name in reversed(names) if backwards else names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(0o777 & ~mask)
        os.utime(path, (when, when))
    (root / "link").symlink_to("/a/x")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "a").chmod(0o700)


def _members(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.blob) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_order_times_and_masks_make_no_difference(tmp_path: Path) -> None:
    layers = []
    for name, when, backwards, mask in (("one", 1, False, 0o022), ("two", 2_000_000_000, True, 0o077)):
        (tmp_path / name).mkdir()
        _fill(tmp_path / name, when=when, backwards=backwards, mask=mask)
        layers.append(pack_layer(tmp_path / name, tmp_path / f"{name}.layer"))
    assert (tmp_path / "one.layer").read_bytes() == (tmp_path / "two.layer").read_bytes()
    assert layers[0].digest == layers[1].digest


def test_another_byte_makes_another_layer(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").write_bytes(b"1")
    before = pack_layer(tmp_path / "root", tmp_path / "layer")
    (tmp_path / "root" / "a").write_bytes(b"2")
    assert pack_layer(tmp_path / "root", tmp_path / "layer").diff_id != before.diff_id


def test_everything_is_roots_readable_by_all_and_writable_by_nobody_else_but_tmp(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    _fill(tmp_path / "root", when=1, backwards=False, mask=0o077)
    (tmp_path / "root" / "b").chmod(0o6711)
    (tmp_path / "root" / "Z").chmod(0o600)
    members = _members(pack_layer(tmp_path / "root", tmp_path / "layer"))
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}
    assert members["tmp"].mode == 0o1777
    assert members["a"].mode == 0o755
    assert members["b"].mode == 0o755  # neither set-user-id nor set-group-id
    assert members["Z"].mode == 0o644
    assert members["link"].linkname == "/a/x"


def test_the_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    _fill(tmp_path / "root", when=1, backwards=False, mask=0)
    layer = pack_layer(tmp_path / "root", tmp_path / "layer")
    packed = layer.blob.read_bytes()
    plain = gzip.decompress(packed)
    assert layer.digest == hashlib.sha256(packed).hexdigest()
    assert (layer.diff_id, layer.size) == (hashlib.sha256(plain).hexdigest(), len(plain))
    assert packed[3:8] == bytes(5)  # neither a name nor a time in the header


def test_what_no_image_should_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    os.mkfifo(tmp_path / "root" / "pipe")
    with pytest.raises(ValueError, match="neither folder, file nor symbolic link"):
        pack_layer(tmp_path / "root", tmp_path / "layer")


def _archive(out: Path, layers: list[Layer], config: Config = CONFIG) -> dict[str, bytes]:
    write_archive(out, "naisho:1", config, layers)
    with tarfile.open(out) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar.getmembers()}


@pytest.fixture
def layers(tmp_path: Path) -> list[Layer]:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        made.append(pack_layer(tmp_path / name, tmp_path / f"{name}.layer"))
    return made


def _blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    data = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(data) == descriptor["size"]
    assert descriptor["digest"] == "sha256:" + hashlib.sha256(data).hexdigest()
    return data


def test_an_archive_leads_from_its_index_to_every_byte(tmp_path: Path, layers: list[Layer]) -> None:
    files = _archive(tmp_path / "a.tar", layers)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (manifest,) = json.loads(files["index.json"])["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "docker.io/library/naisho:1"
    content = json.loads(_blob(files, manifest))
    config = json.loads(_blob(files, content["config"]))
    plain = [gzip.decompress(_blob(files, layer)) for layer in content["layers"]]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(data).hexdigest() for data in plain]
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Env"] == ["A=1"]
    assert config["config"]["Cmd"] == ["naisho"]
    assert config["config"]["StopSignal"] == "SIGTERM"
    assert len(config["history"]) == len(layers)


def test_another_label_gives_another_image_of_the_same_layers(tmp_path: Path, layers: list[Layer]) -> None:
    digests, blobs = [], []
    for version in ("1", "2", "1"):
        config = CONFIG._replace(labels={"version": version})
        digests.append(write_archive(tmp_path / "a.tar", "naisho:1", config, layers))
        blobs.append({name for name in _archive(tmp_path / "a.tar", layers, config) if name.startswith("blobs")})
    assert digests[0] == digests[2] != digests[1]
    assert len(blobs[0] & blobs[1]) == len(layers)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("naisho:1", "docker.io/library/naisho:1"),
        ("some/naisho:1", "docker.io/some/naisho:1"),
        ("registry.example/naisho:1", "registry.example/naisho:1"),
        ("localhost/naisho:1", "localhost/naisho:1"),
        ("host:5000/naisho:1", "host:5000/naisho:1"),
    ],
)
def test_a_name_is_completed_as_a_node_completes_it(short: str, full: str) -> None:
    assert full_name(short) == full


@pytest.mark.parametrize("name", ["naisho", "host:5000/naisho"])
def test_a_name_without_a_tag_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="needs a tag"):
        full_name(name)
