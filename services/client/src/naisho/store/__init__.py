"""What one account keeps on this device, encrypted at rest.

``<data directory>/profiles/<profile>/store.db`` is an SQLCipher database: AES-256 page by page, each authenticated.
Beside it, ``lock.json`` holds the database's key, wrapped by what unlocks it (`naisho.store.locks`).
"""
