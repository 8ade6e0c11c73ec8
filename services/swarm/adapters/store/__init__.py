"""The local store: one SQLite file per node."""
