"""Whether an object as it is already says all that it should say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.membership.domain.pool.quantities import quantity
from operators.membership.manifests.site import Manifest

#: Fields below which texts are quantities. Elsewhere ``0e00`` is not the same as ``0000``.
_OF_QUANTITIES: Final = frozenset({"requests", "limits", "sizeLimit"})
#: What an API server takes for nothing said.
_NOTHING: Final[tuple[Any, ...]] = ({}, [], None, "")


def covers(there: Any, wanted: Any, *, quantities: bool = False) -> bool:
    """Tell whether ``there`` holds everything that ``wanted`` says.

    What the API server adds (defaults, status) is no difference. Lists must have the same length and order.

    Args:
        there: what is.
        wanted: what should be.
        quantities: texts are quantities: ``0.5`` is ``500m``, for the API server writes them its own way.
    """
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            covers(there.get(name), value, quantities=quantities or name in _OF_QUANTITIES)
            for name, value in wanted.items()
            if value not in _NOTHING
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(covers(one, other, quantities=quantities) for one, other in zip(there, wanted, strict=True))
        )
    if there == wanted:
        return True
    size = quantity(str(wanted)) if quantities else None
    return size is not None and size == quantity(str(there))


def says(there: Manifest, wanted: Manifest) -> bool:
    """Tell whether an object has the labels, the annotations, the owner and the spec that it should have."""
    noted = {name: wanted["metadata"].get(name) for name in ("labels", "annotations", "ownerReferences")}
    return covers(there["metadata"], noted) and covers(there.get("spec"), wanted["spec"])
