"""The base of the image: a few Debian packages laid out in a folder, without root and without Docker."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.cluster.bytecode import compile_folder
from tests.cluster.recipe import MOUNT_POINTS, PYTHON, USER

_DOWNLOAD_WITHIN_S: Final = 300.0
_LAY_OUT_WITHIN_S: Final = 60.0
#: Read by people, or by tools that the image does not have.
_UNREAD: Final = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/locale", "usr/share/doc-base")
#: Of the standard library: windows, lessons, installers, another Python's grammar.
_UNUSED: Final = ("idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "venv/scripts")
_STANDARD_LIBRARY: Final = "usr/lib/python3.11"


class Package(NamedTuple):
    """One Debian package as apt would fetch it now."""

    file: str
    size: int
    #: Hexadecimal, from the archive's signed index.
    sha256: str


def candidates(names: Sequence[str]) -> list[Package]:
    """Ask apt which files it would fetch for these packages, in order of their names. Needs no network.

    Raises:
        RuntimeError: there is no apt here, or it does not know a package.
    """
    if shutil.which("apt-get") is None:
        raise RuntimeError("the image's base is made of Debian packages, and there is no apt-get here")
    run = subprocess.run(
        ["apt-get", "download", "--print-uris", *sorted(names)],
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_WITHIN_S,
        check=False,
    )
    found = re.findall(r"^'[^']+' (\S+) (\d+) SHA256:([0-9a-f]{64})$", run.stdout, re.MULTILINE)
    if run.returncode != 0 or len(found) != len(names):
        raise RuntimeError(f"apt-get does not know all of {', '.join(names)} (try `apt-get update`): {run.stderr}")
    return [Package(file, int(size), sha256) for file, size, sha256 in sorted(found)]


def fetch(packages: Iterable[Package], cache: Path) -> list[Path]:
    """Return the packages' files, fetching into the cache what is not there yet.

    Raises:
        RuntimeError: apt could not fetch, or a file is not the one that apt named.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at once would write the same files
        wanted = list(packages)
        for package in wanted:
            if not _intact(cache / package.file, package):
                _download(package, cache)
        return [cache / package.file for package in wanted]


def _download(package: Package, cache: Path) -> None:
    name, version, *_ = package.file.split("_")
    run = subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", f"{name}={version.replace('%3a', ':')}"],
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_WITHIN_S,
        check=False,
    )
    if run.returncode != 0 or not _intact(cache / package.file, package):
        raise RuntimeError(f"apt-get could not fetch {package.file}: {run.stderr}")


def _intact(path: Path, package: Package) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


def lay_out(files: Iterable[Path], root: Path) -> None:
    """Unpack packages into an empty folder and add what their installation would have made.

    Raises:
        subprocess.CalledProcessError: a package cannot be unpacked.
    """
    for file in files:
        subprocess.run(["dpkg-deb", "-x", file, root], check=True, timeout=_LAY_OUT_WITHIN_S)
    for folder in _UNREAD:
        shutil.rmtree(root / folder, ignore_errors=True)
    for folder in _UNUSED:
        shutil.rmtree(root / _STANDARD_LIBRARY / folder, ignore_errors=True)
    _certificates(root)
    _users(root)
    for place in MOUNT_POINTS:
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    if (root / "bin" / "busybox").exists():
        _shell(root)
    compile_folder(root, root / _STANDARD_LIBRARY)
    assert (root / PYTHON.lstrip("/")).exists()


def _certificates(root: Path) -> None:
    """Put the authorities where OpenSSL looks: in one file, as ``update-ca-certificates`` does."""
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    place = root / "etc/ssl/certs"
    place.mkdir(parents=True, exist_ok=True)
    (place / "ca-certificates.crt").write_bytes(b"".join(path.read_bytes() for path in authorities))
    defaults = root / "usr/lib/ssl"
    defaults.mkdir(parents=True, exist_ok=True)
    for name, target in (("certs", "/etc/ssl/certs"), ("cert.pem", "/etc/ssl/certs/ca-certificates.crt")):
        if not (defaults / name).is_symlink():
            (defaults / name).symlink_to(target)


def _users(root: Path) -> None:
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    nologin = "/usr/sbin/nologin"
    (etc / "passwd").write_text(f"root:x:0:0:root:/root:{nologin}\nnaisho:x:{USER}:{USER}:naisho:/tmp:{nologin}\n")
    (etc / "group").write_text(f"root:x:0:\nnaisho:x:{USER}:\n")
    # Names of the pod's own hosts file come before the cluster's.
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def _shell(root: Path) -> None:
    listed = subprocess.run(
        [root / "bin/busybox", "--list"], capture_output=True, text=True, timeout=_LAY_OUT_WITHIN_S, check=True
    )
    for name in listed.stdout.split():
        if not (root / "bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")
