"""Layers and archives of the Open Container Initiative's image format, with the standard library alone.

The same files give the same bytes: names are sorted, owners and times are nobody's, modes are one of four.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

_OCI: Final = "application/vnd.oci.image"
_CHUNK: Final = 1 << 20
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class Layer(NamedTuple):
    """One layer as a file on this machine."""

    #: The compressed layer.
    blob: Path
    #: SHA-256 of the compressed bytes, hexadecimal: how a registry names it.
    digest: str
    #: SHA-256 of the bytes before compression: how a configuration names it.
    diff_id: str
    #: Bytes before compression.
    size: int


class Config(NamedTuple):
    """What a container starts with if nobody says otherwise."""

    environment: Mapping[str, str]
    #: User and group, as ``10001:10001``.
    user: str
    working_directory: str
    command: Sequence[str]
    labels: Mapping[str, str]


class _Hashing(io.RawIOBase):
    """Writes through, and keeps the digest and the length of what went by."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__()
        self._below = below
        self.sha256 = hashlib.sha256()
        self.length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.length += len(data)
        self._below.write(data)
        return len(data)


def pack_layer(root: Path, blob: Path) -> Layer:
    """Pack a folder, as it should appear at ``/``, into a compressed layer.

    Raises:
        ValueError: it holds something else than folders, files and symbolic links.
        OSError: it cannot be read, or the layer cannot be written.
    """
    with blob.open("wb") as file:
        compressed = _Hashing(file)
        # No name and no time in gzip's header. Level 1: a layer is written far more often than it is sent.
        with gzip.GzipFile(fileobj=compressed, mode="wb", filename="", mtime=0, compresslevel=1) as zipped:
            plain = _Hashing(zipped)  # type: ignore[arg-type]  # has write(), which is all that is called
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar:
                for path in _sorted_tree(root):
                    _add(tar, root, path)
    return Layer(blob, compressed.sha256.hexdigest(), plain.sha256.hexdigest(), plain.length)


def _sorted_tree(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir(), key=lambda path: os.fsencode(path.name)):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _sorted_tree(path)


def _add(tar: tarfile.TarFile, root: Path, path: Path) -> None:
    about = path.lstat()
    member = tarfile.TarInfo(path.relative_to(root).as_posix())
    if stat.S_ISLNK(about.st_mode):
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)  # noqa: PTH115  # as written
        tar.addfile(member)
    elif stat.S_ISDIR(about.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o1777 if about.st_mode & stat.S_ISVTX else 0o755
        tar.addfile(member)
    elif stat.S_ISREG(about.st_mode):
        member.size, member.mode = about.st_size, 0o755 if about.st_mode & stat.S_IXUSR else 0o644
        with path.open("rb") as file:
            tar.addfile(member, file)
    else:
        raise ValueError(f"neither folder, file nor symbolic link: {path}")


def full_name(reference: str) -> str:
    """Return a reference with its registry, as a node compares it: ``demo:1`` is ``docker.io/library/demo:1``.

    Raises:
        ValueError: it has no tag.
    """
    first, _, rest = reference.partition("/")
    if ":" not in reference.rsplit("/", 1)[-1]:
        raise ValueError(f"an image's name needs a tag: {reference!r}")
    if not rest:
        return f"docker.io/library/{reference}"
    if "." in first or ":" in first or first == "localhost":
        return reference
    return f"docker.io/{reference}"


def write_archive(out: Path, reference: str, config: Config, layers: Sequence[Layer]) -> str:
    """Write an archive that ``ctr images import``, ``podman load`` and ``skopeo copy oci-archive:`` take.

    Returns:
        The digest of the manifest, with its ``sha256:``, which is the image's own.

    Raises:
        ValueError: the reference has no tag.
        OSError: a layer cannot be read, or the archive cannot be written.
    """
    named = full_name(reference)
    documents: dict[str, bytes] = {}

    def document(content: Mapping[str, Any], media_type: str) -> dict[str, Any]:
        data = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        documents[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    manifest = document(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": document(_config(config, layers), f"{_OCI}.config.v1+json"),
            "layers": [
                {
                    "mediaType": f"{_OCI}.layer.v1.tar+gzip",
                    "digest": f"sha256:{layer.digest}",
                    "size": layer.blob.stat().st_size,
                }
                for layer in layers
            ],
        },
        f"{_OCI}.manifest.v1+json",
    )
    manifest_digest: str = manifest["digest"]
    manifest["annotations"] = {
        "io.containerd.image.name": named,
        "org.opencontainers.image.ref.name": named.rsplit(":", 1)[-1],
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [manifest]}
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as archive:
        _put(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _put(archive, "index.json", json.dumps(index, sort_keys=True).encode())
        for digest, data in sorted(documents.items()):
            _put(archive, f"blobs/sha256/{digest}", data)
        for layer in {layer.digest: layer for layer in layers}.values():
            member = tarfile.TarInfo(f"blobs/sha256/{layer.digest}")
            member.size = layer.blob.stat().st_size
            with layer.blob.open("rb") as file:
                archive.addfile(member, file)
    return manifest_digest


def _config(config: Config, layers: Sequence[Layer]) -> dict[str, Any]:
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Cmd": list(config.command),
            "Env": [f"{name}={value}" for name, value in config.environment.items()],
            "Labels": dict(config.labels),
            "StopSignal": "SIGTERM",
            "User": config.user,
            "WorkingDir": config.working_directory,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        "history": [{"created_by": "tests/cluster/image.py"} for _ in layers],
    }


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
