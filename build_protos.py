"""Generate Python code from ``protos/``; called by ``make protos`` and by both distributions' build hooks.

Public messages (``protos/naisho``) go to the SDK, so that ``naisho.wire.<name>.v1`` is importable as it is written in
the proto package; internal events (``protos/services``, ``protos/operators``) go beside the service that owns them and
never into the SDK's wheel. Generated code is not committed.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
SDK_SOURCE = ROOT / "services" / "client" / "src"


def generate(*, sdk: bool = True, services: bool = True) -> list[Path]:
    """Run protoc over the chosen halves of ``protos/`` and return the folders written.

    Raises:
        RuntimeError: protoc refused a file; its own message has gone to standard error.
    """
    written: list[Path] = []
    if sdk:
        written += _compile("naisho", SDK_SOURCE)
    if services:
        for half in ("services", "operators"):
            written += _compile(half, ROOT)
    return written


def _compile(half: str, out: Path) -> list[Path]:
    # Imported here: the build hook's environment has protoc, a plain import of this file need not.
    from grpc_tools import protoc  # noqa: PLC0415

    files = sorted((PROTOS / half).rglob("*.proto"))
    if not files:
        return []
    bundled = resources.files("grpc_tools") / "_proto"
    with_services = [file for file in files if "\nservice " in file.read_text(encoding="utf-8")]
    scripts = Path(sys.executable).parent  # the plugins' place, whether or not the environment is on the path
    base = [
        "protoc",
        f"--proto_path={PROTOS}",
        f"--proto_path={bundled}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
    ]
    messages = [*base, f"--python_out={out}", f"--mypy_out=quiet:{out}"]
    if protoc.main([*messages, *map(str, files)]) != 0:
        raise RuntimeError(f"protoc refused the files under protos/{half}")
    stubs = [*base, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet,only_async:{out}"]
    if with_services and protoc.main([*stubs, *map(str, with_services)]) != 0:
        raise RuntimeError(f"protoc refused the services under protos/{half}")
    folders = {out / file.relative_to(PROTOS).parent for file in files}
    # Without __init__.py import-linter cannot see generated code.
    stop = {out, SDK_SOURCE / "naisho", ROOT / "services", ROOT / "operators"}
    for folder in folders:
        place = folder
        while place not in stop and place.parent not in {ROOT / "services", ROOT / "operators"}:
            (place / "__init__.py").touch()
            place = place.parent
    return sorted(folders)


if __name__ == "__main__":
    for folder in generate():
        sys.stdout.write(f"{folder.relative_to(ROOT)}\n")
