"""The driver, with scripts and programs that write down how they were called in place of a cluster's own."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.finding import Choice
from tests.cluster.lab import (
    CommandFailed,
    Lab,
    NotHere,
    NotInTime,
    free_ports,
    run,
    stuck_without_content,
    until,
)

#: Appends its name, its arguments and the lab's variables to a file, and does what its own text says.
RECORDER = """#!{python} -I
import json, os, pathlib, sys, time
called = pathlib.Path({calls!r})
lab = {{name: value for name, value in os.environ.items() if name.startswith("KUBE")}}
with called.open("a") as file:
    file.write(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:], lab]) + "\\n")
{text}
"""
UP = """
folder = pathlib.Path(os.environ["KUBE_LAB"])
(folder / "bin").mkdir(parents=True)
(folder / "kubeconfig").touch()
"""
DOWN = """
import shutil
shutil.rmtree(os.environ["KUBE_LAB"])
"""

Program = Callable[[Path, str], None]


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[list[Any]]]:
    def read() -> list[list[Any]]:
        path = tmp_path / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def program(tmp_path: Path) -> Program:
    def write(path: Path, text: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RECORDER.format(python=sys.executable, calls=str(tmp_path / "calls"), text=text))
        path.chmod(0o755)

    return write


@pytest.fixture
def scripts(tmp_path: Path, program: Program) -> Path:
    for name, text in (("up.sh", UP), ("down.sh", DOWN), ("import.sh", ""), ("exec.sh", "print('inside')")):
        program(tmp_path / "kube" / name, text)
    return tmp_path / "kube"


@pytest.fixture
def tools(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path where a test puts a kubectl of its own."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:{os.environ['PATH']}")
    program(tmp_path / "tools" / "kubectl", "print(json.dumps({'given': sys.stdin.read() if '-' in sys.argv else ''}))")
    return tmp_path / "tools"


@pytest.mark.usefixtures("tools")
def test_a_lab_is_started_apart_from_every_other_and_purged(
    scripts: Path, calls: Callable[[], list[list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAISHO_KUBE_LAB_KEEP", raising=False)
    with Lab(Choice(None, scripts, None)) as lab:
        folder = lab.kubeconfig.parent
        assert folder.is_dir()
        assert lab.environment["KUBECONFIG"] == str(folder / "kubeconfig")
        assert lab.environment["PATH"].startswith(f"{folder / 'bin'}:")
        assert lab.read("get", "nodes") == {"given": ""}
        assert lab.inside("curl", "x") == "inside\n"
        lab.import_image(Path("a.tar"))
    (up, variables), kubectl, curl, imported, (down, purge, variables_then) = (
        [call[0], call[-1]] if call[0] == "up.sh" else call for call in calls()
    )
    assert (up, down, purge) == ("up.sh", "down.sh", "--purge")
    assert kubectl[:5] == ["kubectl", "get", "nodes", "-o", "json"]
    assert curl[:3] == ["exec.sh", "curl", "x"]
    assert imported[:2] == ["import.sh", "a.tar"]
    assert variables["KUBE_LAB"] == variables_then["KUBE_LAB"] == str(folder)
    assert variables["KUBE_LAB_NETNS"] not in {"", "kube-lab"}
    assert variables["KUBE_LAB_PORT"] != "16443"
    assert abs(int(variables["KUBE_LAB_PORT"]) - int(variables["KUBE_LAB_ETCD_PORT"])) >= 3
    assert not folder.exists()


def test_a_lab_that_does_not_start_is_stopped(
    scripts: Path, program: Program, calls: Callable[[], list[list[Any]]]
) -> None:
    program(scripts / "up.sh", UP + "sys.exit('no cgroups')")
    with pytest.raises(CommandFailed, match="no cgroups"), Lab(Choice(None, scripts, None)):
        pass
    assert [call[0] for call in calls()] == ["up.sh", "down.sh"]


@pytest.mark.usefixtures("tools")
def test_a_lab_that_ran_before_is_used_and_left_running(
    scripts: Path, tmp_path: Path, calls: Callable[[], list[list[Any]]]
) -> None:
    folder = tmp_path / "running"
    with Lab(Choice(folder / "kubeconfig", scripts, folder)) as lab:
        lab.import_image(Path("a.tar"))
    ((name, archive, variables),) = calls()
    assert (name, archive, variables["KUBE_LAB"]) == ("import.sh", "a.tar", str(folder))


@pytest.mark.usefixtures("tools")
def test_a_foreign_cluster_takes_no_archive_and_has_no_inside(tmp_path: Path) -> None:
    with Lab(Choice(tmp_path / "kubeconfig", None, None)) as lab:
        with pytest.raises(NotHere, match=r"import\.sh"):
            lab.import_image(Path("a.tar"))
        with pytest.raises(NotHere, match="do not work from here"):
            lab.inside("curl")
        assert lab.read("get", "pods") == {"given": ""}


def test_what_a_command_said_is_in_the_error(tools: Path, program: Program, tmp_path: Path) -> None:
    program(tools / "kubectl", "print('half'); sys.exit('the server said no')")
    with (
        Lab(Choice(tmp_path / "kubeconfig", None, None)) as lab,
        pytest.raises(CommandFailed, match="kubectl get x: exit code 1\nhalf\nthe server said no"),
    ):
        lab.kubectl("get", "x")
    with pytest.raises(CommandFailed, match="no such program"):
        run(["no-such-program"], os.environ, within_s=1)
    with pytest.raises(CommandFailed, match="not within 0 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, within_s=0.1)


def test_a_forwarded_port_is_named_and_its_process_ended(tools: Path, program: Program, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    text = f"""
pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
print("Forwarding from 127.0.0.1:43210 -> 8080", flush=True)
time.sleep(60)
"""
    program(tools / "kubectl", text)
    with Lab(Choice(tmp_path / "kubeconfig", None, None)) as lab, lab.port_forward("ns", "svc/x", 8080) as port:
        assert port == 43210
        assert Path(f"/proc/{pid.read_text()}").exists()
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_a_port_that_cannot_be_forwarded_is_an_error_at_once(tools: Path, program: Program, tmp_path: Path) -> None:
    program(tools / "kubectl", "sys.exit('no such service')")
    with (
        Lab(Choice(tmp_path / "kubeconfig", None, None)) as lab,
        pytest.raises(CommandFailed, match="no such service"),
        lab.port_forward("ns", "svc/x", 8080),
    ):
        pass


def _namespace(phase: str = "Terminating", remaining: str = "False", kind: str = "CronJob") -> dict[str, Any]:
    refused = "cannot be encoded to a protobuf message"
    failure = (
        f"Failed to delete all resource types, 1 remaining: object *v1.{kind}List does not implement the protobuf "
        f"marshalling interface and {refused}"
    )
    return {
        "spec": {"finalizers": ["kubernetes"]},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": "NamespaceDeletionContentFailure", "status": "True", "message": failure},
                {"type": "NamespaceContentRemaining", "status": remaining},
                {"type": "NamespaceFinalizersRemaining", "status": "False"},
            ],
        },
    }


def test_a_namespace_is_finished_by_hand_only_if_nothing_is_left_in_it() -> None:
    assert stuck_without_content(_namespace())
    assert not stuck_without_content(_namespace(phase="Active"))
    assert not stuck_without_content(_namespace(remaining="True"))
    assert not stuck_without_content(_namespace(kind="Pod"))
    assert not stuck_without_content({"status": {"phase": "Terminating"}})


def _stuck(tmp_path: Path) -> str:
    """Return a kubectl whose namespace hangs until somebody finishes it."""
    return f"""
finished = pathlib.Path({str(tmp_path / "finished")!r})
if "replace" in sys.argv:
    assert json.loads(sys.stdin.read())["spec"]["finalizers"] == []
    finished.touch()
elif "get" in sys.argv and not finished.exists():
    print({json.dumps(_namespace())!r})
"""


def test_the_labs_namespaces_end(scripts: Path, tools: Path, program: Program, tmp_path: Path) -> None:
    program(tools / "kubectl", _stuck(tmp_path))
    with Lab(Choice(tmp_path / "kubeconfig", scripts, tmp_path / "running")) as lab:
        lab.delete_namespace("x", within_s=30)
    assert (tmp_path / "finished").exists()


def test_another_clusters_namespaces_are_left_to_it(tools: Path, program: Program, tmp_path: Path) -> None:
    program(tools / "kubectl", _stuck(tmp_path))
    with Lab(Choice(tmp_path / "kubeconfig", None, None)) as lab, pytest.raises(NotInTime, match="namespace x"):
        lab.delete_namespace("x", within_s=0.5)
    assert not (tmp_path / "finished").exists()


def test_ports_in_use_are_passed_over() -> None:
    first = free_ports(3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 2))
        taken.listen()
        assert free_ports(3) != first
    assert free_ports(2, other=first) != first


def test_waiting_ends() -> None:
    answers = iter([False, True])
    until(lambda: next(answers), "answer", 10)
    with pytest.raises(NotInTime, match="no answer within 0 s"):
        until(lambda: False, "answer", 0)
