"""Where keys and nonces come from: the system's generator, unless a caller puts another in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Draws that many random bytes. ``os.urandom`` everywhere but in tests that need known keys.
Randomness: TypeAlias = Callable[[int], bytes]
