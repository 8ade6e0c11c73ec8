"""Kubernetes objects of nodes as plain data: pure functions of a pool's wishes and of what the cluster assigned."""
