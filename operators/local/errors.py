"""Errors of a local network, each with what to do next.

LocalNetworkError
├── AlreadyRunning    another process runs a network from this directory
├── NotRunning        no network runs from this directory
├── BrokenHome        the data directory holds something that this version cannot read
└── StartFailed       a part did not become ready in time, or ended
"""

from __future__ import annotations

from click import ClickException


class LocalNetworkError(ClickException):
    """Base of all errors here; shown as its message, without a traceback."""


class AlreadyRunning(LocalNetworkError):
    """Another process holds the data directory's lock."""


class NotRunning(LocalNetworkError):
    """Nothing runs here; ``naisho network up`` would."""


class BrokenHome(LocalNetworkError):
    """A file of the data directory is damaged or of another version."""


class StartFailed(LocalNetworkError):
    """A part of the network did not come up."""
