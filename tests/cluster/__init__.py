"""The image without Docker (``python -m tests.cluster.image OUT.tar NAME:TAG``), and a Kubernetes to try it on."""
