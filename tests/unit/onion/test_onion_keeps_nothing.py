"""The service's source, read: it writes nothing, knows no NATS, and logs only what was reviewed here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "services" / "onion"
MODULES = sorted(ROOT.rglob("*.py"))

#: Everything that may be put into a log line beside its fixed text. Each was looked at: none tells of a client.
LOGGED = {
    "type(error).__name__",  # the kind of a failure
    "_place(error.__traceback__)",  # module and line
    "error.strerror",  # the system's text, of accept(): no address in it
    "error",  # of a DirectoryError or CertificateError, whose texts hold no key, account or address
    "directory.epoch",
    "len(directory.nodes)",
}
#: Modules in which an ``error`` may be logged with its text.
ERRORS_LOGGED = {"adapters/directory.py"}
#: The only places that may hold a client's address: the connection, its server, and who counts requests by it.
SEES_ADDRESSES = {f"api/{name}.py" for name in ("http1/connection", "http1/server", "http1/messages", "site", "seed")}
#: Whatever could keep something: files, databases, the network's log.
KEEPERS = {"sqlite3", "shelve", "dbm", "pickle", "tempfile", "shutil", "nats", "redis", "services.chassis.nats"}
KEEPERS |= {"services.chassis.eventlog", "services.swarm", "operators"}
WRITES = {"write_text", "write_bytes", "mkdir", "touch", "unlink", "rename", "open"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node


def log_calls(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield level and arguments behind the fixed text of each call of a logger."""
    for call in calls(path):
        function = call.func
        if isinstance(function, ast.Attribute) and ast.unparse(function.value) in {"log", "logging", "logger", "_log"}:
            if function.attr == "getLogger":
                continue
            assert isinstance(call.args[0], ast.Constant), f"a log line without a fixed text: {ast.unparse(call)}"
            assert not call.keywords, f"extras are not reviewed: {ast.unparse(call)}"
            yield function.attr, [ast.unparse(argument) for argument in call.args[1:]]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_log_lines_hold_only_what_was_reviewed(path: Path) -> None:
    for level, arguments in log_calls(path):
        assert set(arguments) <= LOGGED, arguments
        assert "error" not in arguments or name_of(path) in ERRORS_LOGGED
        assert level in {"warning", "error"} or name_of(path) == "adapters/directory.py"
    assert not any(ast.unparse(call.func) == "print" for call in calls(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_addresses_of_clients_stay_where_they_are_needed(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    if name_of(path) not in SEES_ADDRESSES:
        assert not names & {"peername", "getpeername", "accept", "client_address"}
        assert "peer" not in names or name_of(path) == "adapters/peers.py"  # where it is another node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_kept(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    for name in imported:
        assert not any(name == keeper or name.startswith(keeper + ".") for keeper in KEEPERS), name
    for call in calls(path):
        function = ast.unparse(call.func)
        # A layer key "opens", too; what opens files is the built-in.
        assert function.rpartition(".")[2] not in WRITES - {"open"}
        assert function not in {"open", "os.open", "Path.open", "io.open"}


def test_this_test_would_notice(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text('log.info("from %s", peer)\n')
    assert [arguments for _, arguments in log_calls(bad)] == [["peer"]]
    assert "peer" not in LOGGED
