"""The authority as a service of its own, without Kubernetes."""

from __future__ import annotations

from naisho.protocol import network_file
from operators.membership.authority import Authority
from operators.membership.instruments import INSTRUMENTS, watch
from operators.membership.keys import AuthorityKeys, obtain_keys
from operators.membership.settings import MembershipServiceSettings
from services.chassis.clock import Clock, SystemClock
from services.chassis.lifecycle import Lifecycle
from services.chassis.nats.connection import NatsConnection
from services.chassis.telemetry import Metrics, TelemetryEndpoint


class MembershipService:
    """One network's authority, hosted by ``chassis.hosting``.

    Attributes:
        lifecycle: starting, ready, draining, stopped; failed if another authority takes over.
        metrics: what it measures.
    """

    def __init__(self, settings: MembershipServiceSettings, clock: Clock) -> None:
        self.lifecycle = Lifecycle("membership")
        self.metrics = Metrics("membership", 0, INSTRUMENTS)
        self._settings = settings
        self._clock = clock
        self._network = network_file.parse(settings.network_file.read_bytes())
        self._policy = settings.policy(simulated=self._network.simulated)
        self._connection: NatsConnection | None = None
        self._authority: Authority | None = None
        self._telemetry: TelemetryEndpoint | None = None

    @property
    def authority(self) -> Authority:
        """The authority, once started."""
        assert self._authority is not None
        return self._authority

    async def start(self) -> None:
        """Connect, go on where the last authority stopped, and work in the background.

        Raises:
            NatsError: NATS is away or refuses.
            EventLogError: the log refuses, or does not answer.
            KeyFileError: there is nothing to sign with.
            OSError: the address for telemetry is not to be had.
        """
        self._connection = await NatsConnection.connect(self._settings.nats.settings("membership"))
        self._authority = Authority(
            self._connection,
            network=self._network,
            keys=self._read_keys,
            policy=self._policy,
            clock=self._clock,
            settings=self._settings.authority(),
        )
        await self._authority.start()
        watch(lambda: self.authority, self.metrics, self._clock)
        self.lifecycle.spawn(self._authority.run(), "decide and publish")
        if self._settings.telemetry is not None:
            self._telemetry = TelemetryEndpoint(*self._settings.telemetry, [self.metrics], [self.lifecycle])
            await self._telemetry.start()

    async def drain(self) -> None:
        """Nothing is in hand that another authority could not take up."""

    async def stop(self) -> None:
        """Hear nothing more and close the connection."""
        if self._telemetry is not None:
            await self._telemetry.close()
        if self._authority is not None:
            await self._authority.stop()
        if self._connection is not None:
            await self._connection.close()
        self.metrics.close()

    def _read_keys(self) -> AuthorityKeys:
        return obtain_keys(self._settings.keys, network=self._network, now_ms=self._clock.now_ms())


def bootstrap(settings: MembershipServiceSettings, *, clock: Clock | None = None) -> MembershipService:
    """Build the service.

    Raises:
        OSError, NetworkFileError: the network file cannot be read.
        ValueError: settings that exclude each other.
    """
    return MembershipService(settings, clock or SystemClock())
