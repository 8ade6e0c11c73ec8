"""``naisho cluster``: look at a network on Kubernetes, let nodes leave it, report on it, erase what is left of it."""
