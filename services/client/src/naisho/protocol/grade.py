"""What a network's operators promise together about hiding who talks to whom."""

from __future__ import annotations

import enum
from typing import Self


class Grade(enum.IntEnum):
    """Ordered, higher is better; values as on the wire."""

    #: All nodes may belong to one operator: three hops are one party.
    SINGLE_OPERATOR = 1
    #: Every path spans three operator families and three networks.
    INDEPENDENT = 2

    @property
    def label(self) -> str:
        """The grade as network files and people write it: ``single-operator`` or ``independent``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def parse(cls, label: str) -> Self:
        """Return the grade of a label.

        Raises:
            ValueError: no such grade.
        """
        for grade in cls:
            if grade.label == label:
                return grade
        raise ValueError(f"no such grade; known are {', '.join(grade.label for grade in cls)}")
