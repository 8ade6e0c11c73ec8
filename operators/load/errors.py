"""What keeps a load test from running.

LoadError
├── BadPlan          rates, mix or sizes that say nothing usable
├── NotJoined        no source gave the network's directory
└── GeneratorFailed  a process that makes the load ended, or said something unreadable
"""

from __future__ import annotations


class LoadError(Exception):
    """Base of all errors here; never raised itself."""


class BadPlan(LoadError, ValueError):
    """A part of the plan cannot be read; the text says what would be right."""


class NotJoined(LoadError):
    """The network could not be joined before the load was to begin."""


class GeneratorFailed(LoadError):
    """A generating process is gone; the text says what it said last."""
