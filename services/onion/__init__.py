"""The public face of a node: HTTPS for clients, onion layers, streams to other nodes. Keeps nothing, logs nobody."""
