"""The composition root for one machine: a whole network behind ``naisho network up``.

It alone may import every service's bootstrap; nothing imports it.
"""
