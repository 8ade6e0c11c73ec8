"""A Kubernetes to test on: start one or use one, put images on it, run kubectl and helm, and leave nothing behind.

LabError
├── CommandFailed     kubectl, helm or a command inside ended with an error; the text is what it said
├── NotHere           this cluster cannot do that from here: a foreign one takes no archives and routes no addresses
└── NotInTime         something did not become so within its bound
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.cluster.finding import KEEP, Choice, choose

_COMMAND_WITHIN_S: Final = 120.0
_START_WITHIN_S: Final = 300.0
_STOP_WITHIN_S: Final = 120.0
_FORWARD_WITHIN_S: Final = 20.0
_POLL_S: Final = 0.25
#: The lab takes three ports in a row for the API server and controllers, and two for etcd.
_API_PORTS: Final = 3
_ETCD_PORTS: Final = 2
_PORTS: Final = range(20_000, 32_000, 8)
#: What the lab's namespace controller says of a kind that it cannot list; everything else is gone by then.
_UNLISTABLE: Final = "does not implement the protobuf marshalling interface"


class LabError(Exception):
    """Base of everything that the lab raises; never raised itself."""


class CommandFailed(LabError):
    """A command ended with an error; the text is the command and what it said."""


class NotHere(LabError):
    """This cluster cannot do that from here."""


class NotInTime(LabError):
    """Something did not become so within its bound."""


class Lab:
    """A cluster that runs. Use it as a context: what was started is stopped at the end, what ran before is left alone.

    Attributes:
        environment: for programs that talk to the cluster's API server: KUBECONFIG and PATH are set.
        kubeconfig: the file that such programs need.
    """

    def __init__(self, choice: Choice) -> None:
        """Take a choice; nothing is started yet."""
        self._choice = choice
        self._folder: Path | None = choice.folder
        self._settings: dict[str, str] = {} if choice.folder is None else {"KUBE_LAB": str(choice.folder)}
        self.kubeconfig = choice.kubeconfig or Path()
        self.environment: dict[str, str] = dict(os.environ)

    @classmethod
    def find(cls) -> Self:
        """Return the cluster that this process's environment asks for.

        Raises:
            NoCluster: there is none to be had; the text says what would give one.
        """
        return cls(choose(os.environ, root=os.geteuid() == 0))

    def __enter__(self) -> Self:
        """Start the lab if one has to be started.

        Raises:
            CommandFailed: it did not start.
        """
        if self._choice.to_be_started:
            self._start()
        if self._folder is not None:
            self.environment["PATH"] = f"{self._folder / 'bin'}:{os.environ['PATH']}"
        self.environment |= {**self._settings, "KUBECONFIG": str(self.kubeconfig)}
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what was started."""
        if self._choice.to_be_started and self._folder is not None and not os.environ.get(KEEP):
            self._stop()

    def _start(self) -> None:
        # Short, since it becomes part of the paths of sockets.
        self._folder = Path(tempfile.mkdtemp(prefix="nk-", dir="/tmp"))
        api = free_ports(_API_PORTS)
        self._settings = {
            "KUBE_LAB": str(self._folder),
            "KUBE_LAB_PORT": str(api),
            "KUBE_LAB_ETCD_PORT": str(free_ports(_ETCD_PORTS, other=api)),
            "KUBE_LAB_NETNS": self._folder.name,
        }
        self.kubeconfig = self._folder / "kubeconfig"
        try:
            self._script("up.sh", "node", within_s=_START_WITHIN_S)
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        self._script("down.sh", "--purge", within_s=_STOP_WITHIN_S)

    def _script(self, name: str, *arguments: str, within_s: float = _COMMAND_WITHIN_S) -> str:
        if self._choice.scripts is None:
            raise NotHere(f"{name} is a script of the lab, and this cluster is none")
        command = [str(self._choice.scripts / name), *arguments]
        # Not a lab's KUBECONFIG and PATH but this process's own: the scripts set theirs.
        return run(command, {**os.environ, **self._settings}, within_s=within_s)

    def kubectl(self, *arguments: str, given: str | None = None, within_s: float = _COMMAND_WITHIN_S) -> str:
        """Run kubectl and return what it printed.

        Args:
            arguments: as in a shell.
            given: on its standard input, for ``-f -``.
            within_s: its bound, seconds.

        Raises:
            CommandFailed: it ended with an error, or not within its bound.
        """
        return run(["kubectl", *arguments], self.environment, given=given, within_s=within_s)

    def read(self, *arguments: str) -> Any:
        """Run ``kubectl ... -o json`` and return what it says.

        Raises:
            CommandFailed: it ended with an error.
        """
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def helm(self, *arguments: str, within_s: float = _COMMAND_WITHIN_S) -> str:
        """Run helm and return what it printed.

        Raises:
            CommandFailed: it ended with an error, or not within its bound.
        """
        return run(["helm", *arguments], self.environment, within_s=within_s)

    def inside(self, *command: str, within_s: float = _COMMAND_WITHIN_S) -> str:
        """Run a command where the addresses of pods and Services work, and return what it printed.

        Raises:
            NotHere: this cluster is not on this machine.
            CommandFailed: it ended with an error, or not within its bound.
        """
        return run(self.inside_command(*command), self.environment, within_s=within_s)

    def inside_command(self, *command: str) -> list[str]:
        """Return the command that runs another inside, for a caller that watches the process itself.

        Raises:
            NotHere: this cluster is not on this machine.
        """
        if self._choice.scripts is None:
            raise NotHere("addresses of pods and Services do not work from here: this cluster is not the lab's")
        return [str(self._choice.scripts / "exec.sh"), *command]

    def import_image(self, archive: Path) -> None:
        """Put an image on the node.

        Raises:
            NotHere: this cluster takes no archives; its images come from a registry.
            CommandFailed: the node refused it.
        """
        self._script("import.sh", str(archive))

    @contextlib.contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """Forward a free port of 127.0.0.1 to a port of a pod or Service, and yield it.

        Args:
            namespace: the target's.
            target: such as ``svc/naisho-seed``.
            port: the target's.

        Raises:
            CommandFailed: kubectl ended instead.
            NotInTime: kubectl named no port within its bound.
        """
        command = ["kubectl", "-n", namespace, "port-forward", "--address", "127.0.0.1", target, f":{port}"]
        with tempfile.NamedTemporaryFile() as said:
            process = subprocess.Popen(command, env=self.environment, stdout=said, stderr=subprocess.STDOUT)
            place = Path(said.name)
            try:
                until(lambda: process.poll() is not None or _forwarded(place), "forwarded port", _FORWARD_WITHIN_S)
                found = _forwarded(place)
                if found is None:
                    raise CommandFailed(f"{' '.join(command)}: {place.read_text()}")
                yield found
            finally:
                process.terminate()
                process.wait(_FORWARD_WITHIN_S)

    def delete_namespace(self, name: str, within_s: float = 120.0) -> None:
        """Delete a namespace with all that is in it, and wait until it is gone.

        The lab's namespace controller cannot list CronJobs and would wait for ever, with everything else gone. There
        the last step, which is no more than a mark, is done in its place; never on another cluster.

        Raises:
            CommandFailed: kubectl refused.
            NotInTime: something in it does not end.
        """
        if self._choice.scripts is not None:
            self.kubectl("-n", name, "delete", "cronjobs", "--all", "--ignore-not-found")
        self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

        def gone() -> bool:
            text = self.kubectl("get", "namespace", name, "--ignore-not-found", "-o", "json")
            if not text.strip():
                return True
            if self._choice.scripts is not None and stuck_without_content(namespace := json.loads(text)):
                namespace["spec"]["finalizers"] = []
                place = f"/api/v1/namespaces/{name}/finalize"
                self.kubectl("replace", "--raw", place, "-f", "-", given=json.dumps(namespace))
            return False

        until(gone, f"the end of namespace {name}", within_s)


def run(command: Sequence[str], environment: Mapping[str, str], *, given: str | None = None, within_s: float) -> str:
    """Run a command and return what it printed.

    Raises:
        CommandFailed: it is not there, it ended with an error, or not within its bound.
    """
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command, env=environment, input=given, capture_output=True, text=True, timeout=within_s, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{shown}: not within {within_s:.0f} s") from late
    except FileNotFoundError as absent:
        raise CommandFailed(f"{shown}: there is no such program") from absent
    if done.returncode != 0:
        raise CommandFailed(f"{shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def until(condition: Callable[[], object], what: str, within_s: float) -> None:
    """Ask again and again until something is so; a cluster says nothing by itself.

    Raises:
        NotInTime: it did not become so.
    """
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            raise NotInTime(f"no {what} within {within_s:.0f} s")
        time.sleep(_POLL_S)


def stuck_without_content(namespace: Mapping[str, Any]) -> bool:
    """Tell whether a namespace is empty and would end, if its controller could list a kind that it cannot list.

    Args:
        namespace: as the API server gives it.
    """
    status = namespace.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}

    def says(name: str, wanted: str) -> bool:
        return bool(conditions.get(name, {}).get("status") == wanted)

    failure = conditions.get("NamespaceDeletionContentFailure", {}).get("message", "")
    return (
        status.get("phase") == "Terminating"
        and says("NamespaceContentRemaining", "False")
        and says("NamespaceFinalizersRemaining", "False")
        and bool(re.search(rf"1 remaining: object \*v1\.CronJobList {_UNLISTABLE}", failure))
    )


def free_ports(count: int, other: int = 0) -> int:
    """Return the first of some neighbouring ports of 127.0.0.1 that nobody listens at now.

    Args:
        count: how many, at most eight.
        other: the first of ports that are taken already, though nobody listens yet.

    Raises:
        NotHere: there are none.
    """
    begin = _PORTS.start + os.getpid() % len(_PORTS) * _PORTS.step  # two runs at once begin at different places
    starts: list[int] = [*range(begin, _PORTS.stop, _PORTS.step), *_PORTS]
    for first in starts:
        if first != other and all(_is_free(port) for port in range(first, first + count)):
            return first
    raise NotHere("no free ports for a lab")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _forwarded(said: Path) -> int | None:
    found = re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", said.read_text())
    return int(found[1]) if found else None
