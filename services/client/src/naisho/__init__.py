"""naisho: SDK and command line of a private messaging network that anyone can run.

``naisho.protocol`` holds what two strangers on the network must agree on, as pure functions; ``naisho.wire`` the
generated message types; everything else is built on these two.
"""
