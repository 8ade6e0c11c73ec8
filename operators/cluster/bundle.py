"""The file of a report: named texts in a tar or zip archive that only its owner can read."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from operators.cluster.errors import BadOutput

SUFFIXES: Final = (".tar.gz", ".tgz", ".zip")
_MODE: Final = 0o600


def refuse_bad_output(file: Path) -> None:
    """Make sure that a bundle can have that name, before it is collected.

    Raises:
        BadOutput: no suffix of an archive, a file that is there already, or no such folder.
    """
    if not file.name.endswith(SUFFIXES):
        raise BadOutput(file=str(file), reason=f"{file.suffix or '–'}: {', '.join(SUFFIXES)}?")
    for trouble, number in ((file.exists(), errno.EEXIST), (not file.parent.is_dir(), errno.ENOENT)):
        if trouble:
            raise BadOutput(file=str(file), reason=os.strerror(number))


def write_bundle(file: Path, texts: Mapping[str, str]) -> int:
    """Write texts by their paths into a new archive and return its size in bytes.

    Raises:
        BadOutput: as `refuse_bad_output`, or it cannot be written.
    """
    refuse_bad_output(file)
    content = _zip(texts) if file.suffix == ".zip" else _tar(texts)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise BadOutput(file=str(file), reason=error.strerror or str(error)) from error
    return len(content)


def _tar(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in sorted(texts.items()):
            entry, content = tarfile.TarInfo(name), text.encode()
            entry.size, entry.mode, entry.mtime = len(content), _MODE, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _zip(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(texts.items()):
            archive.writestr(name, text)
    return packed.getvalue()
