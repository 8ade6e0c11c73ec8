"""One account on one network, wired: the SDK's composition root."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Self

from naisho.conversation.listening import Listener
from naisho.conversation.receiving import Receiver
from naisho.conversation.sending import Sender
from naisho.network.clock import NetworkClock
from naisho.network.directory import DirectoryKeeper
from naisho.network.strikes import Strikes
from naisho.network.transport import NodeTransport
from naisho.paths.keeper import PathKeeper
from naisho.paths.onion import OnionRequests
from naisho.paths.watch import PathWatch
from naisho.protocol.account import AccountKeys
from naisho.protocol.network_file import NetworkFile
from naisho.store.mail import Mail
from naisho.store.store import Store
from naisho.swarm.mailbox import Mailboxes
from naisho.swarm.requests import SwarmRequests


@dataclass(frozen=True, slots=True)
class Reach:
    """A network that one can send requests into; needs no account yet."""

    network: NetworkFile
    directory: DirectoryKeeper
    paths: PathKeeper
    requests: SwarmRequests
    clock: NetworkClock
    random: Random

    @classmethod
    def wire(cls, network: NetworkFile, store: Store, transport: NodeTransport, clock: NetworkClock) -> Self:
        """Wire what carries requests."""
        random, strikes, cache = SystemRandom(), Strikes(time.monotonic), store.network(network.network_id)
        directory = DirectoryKeeper(network=network, transport=transport, cache=cache, clock=clock, random=random)
        paths = PathKeeper(
            directory=directory, cache=cache, strikes=strikes, clock=clock, random=random, monotonic=time.monotonic
        )
        directory.known = paths.pinned
        onion = OnionRequests(transport)
        requests = SwarmRequests(
            directory=directory,
            paths=paths,
            onion=onion,
            clock=clock,
            strikes=strikes,
            random=random,
            monotonic=time.monotonic,
        )
        return cls(network, directory, paths, requests, clock, random)


@dataclass(frozen=True, slots=True)
class Voice:
    """An account that speaks and listens on a network."""

    mailboxes: Mailboxes
    mail: Mail
    sender: Sender
    listener: Listener
    receiver: Receiver
    watch: PathWatch

    @classmethod
    def wire(cls, reach: Reach, store: Store, keys: AccountKeys, name: str) -> Self:
        """Wire what an account does."""
        reach.paths.own = keys.account_id
        mail = store.mail(reach.network.network_id)
        mailboxes = Mailboxes(reach.requests, keys)
        sender = Sender(keys=keys, name=name, store=store, mail=mail, mailboxes=mailboxes, clock=reach.clock)
        receiver = Receiver(keys, store, mail, reach.clock)
        listener = Listener(mailboxes=mailboxes, receiver=receiver, sender=sender, mail=mail, random=reach.random)
        return cls(mailboxes, mail, sender, listener, receiver, PathWatch(reach.paths, mailboxes.probe, reach.random))
