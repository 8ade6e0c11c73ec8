"""Logs: one line per thing that happened to the process, on standard error, and nothing about anybody.

Levels say what the reader should do:

- ``error``: something is broken or lost; act now.
- ``warning``: it works, but will not for ever; look at it this week.
- ``info``: a milestone of the process (started, ready, draining), a handful of lines a day. Never per message.
- ``debug``: for those who change the code; may be many lines, and obeys the same rules.

What must not be logged: accounts, message hashes, keys, clients' addresses, who did something when. Such values travel
in `Redacted` and print as that. Should one slip through all the same, the formatter masks whatever looks like one: long
runs of hexadecimal or base64 digits and IP addresses other than this machine's own. That is a net, not a licence.

Use the standard library as it is: ``log = logging.getLogger(__name__)``, ``log.info("ready", extra={"port": 443})``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, TextIO

from services.chassis.redaction import REDACTED

_LONGEST_LINE: Final = 16 * 1024
_OURS: Final = ("naisho", "operators", "services")
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_COLOURS: Final = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}

_DIGITS: Final = re.compile(
    r"[0-9A-Fa-f]{32,}"
    # Base64 in either alphabet; a slash makes it look like a path, so all three sorts of character must be there.
    r"|(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])"
    r"[A-Za-z0-9+/_-]{40,}={0,2}"
)
_ADDRESS: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?![0-9A-Za-z:])"
)


def masked(text: str) -> str:
    """Return `text` with everything redacted that looks like an identifier or an address."""
    return _ADDRESS.sub(_mask_address, _DIGITS.sub(REDACTED, text))


def configure(level: str = "info", stream: TextIO | None = None, *, pretty: bool | None = None) -> Callable[[], None]:
    """Send everything logged in this process to one stream; called by a process's main alone.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        stream: where to; standard error if None.
        pretty: for human eyes, over several lines where need be; None asks whether the stream is a terminal.

    Returns:
        What undoes it.

    Raises:
        ValueError: there is no such level.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrettyFormatter() if (stream.isatty() if pretty is None else pretty) else LineFormatter())
    chosen = logging.getLevelNamesMapping().get(level.upper())
    if chosen is None:
        raise ValueError(f"there is no level {level.upper()}; there are debug, info, warning and error")
    root = logging.getLogger()
    # Libraries speak up only when something is wrong: some of them report every request at info.
    levels = {root: max(logging.WARNING, chosen)} | {logging.getLogger(name): chosen for name in _OURS}
    before = {logger: logger.level for logger in levels}
    for logger, wanted in levels.items():
        logger.setLevel(wanted)
    root.addHandler(handler)

    def undo() -> None:
        root.removeHandler(handler)
        for logger, was in before.items():
            logger.setLevel(was)

    return undo


class LineFormatter(logging.Formatter):
    """One line per record: ``time level=… logger=… message="…" key=value …``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, masked and bounded in length."""
        fields = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        fields |= {key: str(value) for key, value in _extra(record).items()}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        line = " ".join(f"{key}={_quoted(masked(value))}" for key, value in fields.items())
        return f"{_time(record).isoformat(timespec='milliseconds')} {line}"[:_LONGEST_LINE]


class PrettyFormatter(logging.Formatter):
    """For a terminal: time, coloured level, message; traces keep their lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text, masked and bounded in length."""
        text = record.getMessage() + "".join(f"  {key}={value}" for key, value in _extra(record).items())
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{record.levelname.lower():<7}\x1b[0m"
        return f"{_time(record).astimezone():%H:%M:%S} {level} {masked(text)}"[:_LONGEST_LINE]


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _quoted(text: str) -> str:
    if text.isprintable() and text and not set(text) & set(' "=\\'):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _mask_address(match: re.Match[str]) -> str:
    text = match[0]
    try:
        address = ip_address(text)
    except ValueError:
        return text  # a time of day, a version
    return text if address.is_loopback or address.is_unspecified else REDACTED
