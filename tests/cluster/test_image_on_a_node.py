"""The image on a real node: as another user, with a read-only file system and without capabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import recipe
from tests.cluster.lab import Lab, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # starting a node, building and importing an image

NAMESPACE = "naisho-image"
WRITES = "import errno, pathlib\ntry: pathlib.Path('/opt/x').touch()\nexcept OSError as refused: print(refused.errno)"
#: Name of a container, its command, its exit code, and what it says.
CONTAINERS: dict[str, tuple[list[str] | None, int, str]] = {
    "version": (["naisho", "--version"], 0, "naisho "),
    "by-default": (None, 0, "Usage: naisho"),
    "nats": (["nats-server", "--version"], 0, "nats-server: v2."),
    "onion": (["python", "-m", "services.onion"], 2, "the settings cannot be used"),
    "swarm": (["python", "-m", "services.swarm"], 2, "the settings cannot be used"),
    "custodian": (["python", "-m", "services.swarm.custodian"], 2, "the settings cannot be used"),
    "who": (["python", "-c", "import os; print(os.getuid(), os.getgid())"], 0, f"{recipe.USER} {recipe.USER}"),
    "writes": (["python", "-c", WRITES], 0, "30"),
}


def _pod(image: str) -> dict[str, Any]:
    restricted = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "image", "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            # No user is named: the image's own, which must be a number for this.
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "Never",
                    "securityContext": restricted,
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    **({"command": command} if command else {}),
                }
                for name, (command, _, _) in CONTAINERS.items()
            ],
        },
    }


@pytest.fixture(scope="module")
def ended(lab: Lab, naisho_image: str) -> Iterator[dict[str, int]]:
    """Return the exit codes of all containers."""
    lab.kubectl("create", "namespace", NAMESPACE)
    try:
        lab.kubectl("apply", "-f", "-", given=json.dumps(_pod(naisho_image)))
        codes: dict[str, int] = {}

        def all_ended() -> bool:
            for status in lab.read("-n", NAMESPACE, "get", "pod", "image")["status"].get("containerStatuses", []):
                if "terminated" in status["state"]:
                    codes[status["name"]] = status["state"]["terminated"]["exitCode"]
            return len(codes) == len(CONTAINERS)

        until(all_ended, "end of every container", 90)
        yield codes
    finally:
        lab.delete_namespace(NAMESPACE)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_does_what_its_command_says(lab: Lab, ended: dict[str, int], name: str) -> None:
    _, code, says = CONTAINERS[name]
    said = lab.kubectl("-n", NAMESPACE, "logs", "image", "-c", name)
    assert ended[name] == code, said
    assert says in said
