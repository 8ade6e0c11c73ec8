"""The membership authority: admits nodes, forms swarms, signs the directory (docs/adr/0008).

``domain`` decides, purely; ``authority`` observes, records and publishes over NATS; ``standalone`` is the authority as
a service without Kubernetes; ``keys`` makes and reads key files.
"""
