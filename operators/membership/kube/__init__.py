"""The authority on Kubernetes: what is watched, what is applied, what is told."""
