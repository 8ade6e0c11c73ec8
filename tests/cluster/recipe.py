"""What the image holds, said once: the Dockerfile is compared with this, and the build without Docker follows it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from tests.cluster.lock import PROJECTS, ROOT

#: The user and the group, by number: Kubernetes refuses a name where it must know that it is not root.
USER: Final = 10001
#: Our distributions and all that they depend on: an environment as ``python -m venv`` makes it.
PREFIX: Final = "/opt/naisho"
PYTHON: Final = "/usr/bin/python3.11"
ENVIRONMENT: Final = {
    # The environment's own first: `python`, `naisho` and `nats-server` are found there.
    "PATH": f"{PREFIX}/bin:/usr/bin:/bin",
    # Home and caches of a user without a home: the one folder that pods make writable.
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    # Nothing is imported from the working directory, whatever a pod mounts there.
    "PYTHONSAFEPATH": "1",
    # A log line is out when it is written, also if the process dies with the next instruction.
    "PYTHONUNBUFFERED": "1",
    # The bytecode is in the image, and its file system is read-only.
    "PYTHONDONTWRITEBYTECODE": "1",
}
WORKING_DIRECTORY: Final = "/"
COMMAND: Final = ("naisho", "--help")
#: Folders that pods mount over; they exist so that a container starts without them too.
MOUNT_POINTS: Final = ("etc/naisho", "run/naisho", "var/lib/naisho", "tmp")
#: Programs of the environment; whatever else the dependencies bring to start is left out.
PROGRAMS: Final = frozenset({"naisho", "kubectl-naisho", "nats-server", "python", "python3", "python3.11"})
#: Debian packages that the Dockerfile installs by name; apt adds what they depend on.
DEBIAN_NAMED: Final = ("ca-certificates", "python3.11")
#: The same and what they depend on as far as it is needed: no shell, no perl, no dpkg.
DEBIAN_ALL: Final = (
    *DEBIAN_NAMED,
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libsqlite3-0",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    "media-types",
    "python3.11-minimal",
    "zlib1g",
)
#: A shell and the usual tools, with ``--debug`` alone.
DEBIAN_DEBUG: Final = ("busybox-static",)


def labels(tree: Path = ROOT) -> dict[str, str]:
    """Return the image's labels; their version is the distribution's."""
    project = tomllib.loads((tree / PROJECTS[-1]).read_text(encoding="utf-8"))["project"]
    return {
        "org.opencontainers.image.title": "naisho",
        "org.opencontainers.image.description": project["description"],
        "org.opencontainers.image.licenses": project["license"],
        "org.opencontainers.image.version": project["version"],
    }


def surplus(path: str) -> bool:
    """Tell whether a file under ``site-packages`` is of no use to a running program.

    Args:
        path: relative to ``site-packages``, with forward slashes.
    """
    *folders, name = path.split("/")
    if any(folder in {"tests", "__pycache__"} for folder in folders):
        return True
    if folders[:2] == ["pygal", "test"]:
        return True
    if folders and folders[0].endswith(".dist-info"):
        # What pip wrote down for itself: it names files that are gone, and folders of the machine that built.
        return name in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    return name.endswith((".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".cpp", ".hpp", ".pyc")) or name == "py.typed"
