"""What can go wrong between the operator and Kubernetes.

KubeError
├── ClusterAway        the API server does not answer, or not in time; asked again later
├── Forbidden          the operator may not do that; its Role lacks a verb
├── Conflict           somebody else has changed the object meanwhile; it is looked at again
├── Refused            the API server does not take the object; the text says why
└── LeadershipLost     another operator has taken the lease; this process ends
"""

from __future__ import annotations


class KubeError(Exception):
    """Base of everything that this package raises; never raised itself."""


class ClusterAway(KubeError):
    """The API server cannot be reached, or answers with an error of its own."""


class Forbidden(KubeError):
    """The operator's Role does not allow the call."""


class Conflict(KubeError):
    """The object is not the one that was looked at."""


class Refused(KubeError):
    """The API server refuses the object as it is."""


class LeadershipLost(KubeError):
    """Another operator works in this namespace; only one may."""
