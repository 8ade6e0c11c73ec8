"""What can go wrong with ``naisho cluster``; each says what happened, why, and what to do next.

ClusterError (NaishoError)
├── BadKubeconfig       no configuration, or one that names no cluster
├── ClusterUnreachable  the API server does not answer
├── ClusterForbids      this user may not do that in this namespace
├── ClusterRefuses      the API server answered with another error
├── NotInstalled        the cluster does not know our custom resources
├── NoPool              no node pool in the namespace
├── UnknownPool         no node pool of that name
├── UnknownNode         no service node of that name
├── PoolPaused          the operator was told to watch only, so nobody would act
├── NotConfirmed        nobody is there to be asked, and nothing was said beforehand
├── DrainRefused        the operator says that leaving would harm the network
├── DrainTimedOut       it takes longer than the caller wants to wait
├── StillInstalled      the release is not uninstalled
├── EraseIncomplete     something that was to be erased is still there
├── BadOutput           the bundle cannot be written there
└── TrialFailed         the network did not do what it was asked to do

`NotFound` is none of them: it is what `operators.cluster.kube` answers and always meets a handler.
"""

from __future__ import annotations

from naisho.errors import Explanation, NaishoError, Remedy
from operators.cluster import texts as catalogs


class ClusterError(NaishoError):
    """Base of all errors here; never raised itself."""

    def explain(self, language: str = "en") -> Explanation:
        """Return what happened, why, and what to do next in a language ("en" or "ja")."""
        texts = catalogs.load(language)
        return Explanation(*(texts(f"errors.{self.code}.{part}", **self.details) for part in Explanation._fields))


class BadKubeconfig(ClusterError):
    """No configuration for a cluster was found, or it cannot be used."""

    fields = ("reason",)
    remedy = Remedy.CHANGE_INPUT


class ClusterUnreachable(ClusterError):
    """The API server does not answer."""

    fields = ("reason",)
    remedy = Remedy.CHECK_CONNECTION


class ClusterForbids(ClusterError):
    """The user of this configuration lacks a right."""

    fields = ("verb", "kind", "namespace")
    remedy = Remedy.ASK_OPERATOR


class ClusterRefuses(ClusterError):
    """The API server answered with an error; the reason is its own."""

    fields = ("verb", "kind", "status", "reason")


class NotInstalled(ClusterError):
    """The cluster has no custom resource definitions of ours."""

    remedy = Remedy.CHANGE_INPUT


class NoPool(ClusterError):
    """The namespace has no pool."""

    fields = ("namespace",)
    remedy = Remedy.CHANGE_INPUT


class UnknownPool(ClusterError):
    """There is no pool of that name; names those that there are."""

    fields = ("pool", "namespace", "known")
    remedy = Remedy.CHANGE_INPUT


class UnknownNode(ClusterError):
    """There is no such node; names those that there are."""

    fields = ("node", "namespace", "known")
    remedy = Remedy.CHANGE_INPUT


class PoolPaused(ClusterError):
    """The node's pool is paused, so the operator would not act."""

    fields = ("pool", "namespace")
    remedy = Remedy.CHANGE_INPUT


class NotConfirmed(ClusterError):
    """A dangerous wish without a terminal to ask at and without ``--yes``."""

    remedy = Remedy.CHANGE_INPUT


class DrainRefused(ClusterError):
    """The operator refuses to let the node go; the reason is its own."""

    fields = ("node", "reason", "namespace")


class DrainTimedOut(ClusterError):
    """The node has not left in time; it goes on leaving."""

    fields = ("node", "seconds", "phase", "reason", "namespace")


class StillInstalled(ClusterError):
    """Something that only a running installation has is still there."""

    fields = ("release", "namespace", "found")
    remedy = Remedy.CHANGE_INPUT


class EraseIncomplete(ClusterError):
    """Objects are still there after the time limit; mostly volumes that a pod still uses."""

    fields = ("release", "count", "seconds", "left")


class BadOutput(ClusterError):
    """The bundle's file cannot be written."""

    fields = ("file", "reason")
    remedy = Remedy.CHANGE_INPUT


class TrialFailed(ClusterError):
    """A step of the trial message did not come out as it must."""

    fields = ("step", "reason")
    remedy = Remedy.ASK_OPERATOR


class NotFound(Exception):
    """The API server knows no such object, or no such kind of object."""
