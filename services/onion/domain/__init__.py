"""What a node knows and decides about onion layers, peers and servers. No I/O."""
