"""A load test of a network: simulated accounts, arrivals that wait for nobody, and a ledger of what was promised.

`naisho load` runs it from the command line; `operators.load.running.LoadRun` is the same for other programs.
"""
