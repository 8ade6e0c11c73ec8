"""What strangers on the network must agree on: accounts, ring, signatures, onion layers, envelopes.

Pure: no I/O, no clocks, no tasks; randomness is a parameter where a caller may need to choose it. Every function that
reads bytes of others is bounded by ``naisho.protocol.limits`` and raises only ``naisho.protocol.errors``.
"""
