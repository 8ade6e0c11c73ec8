"""What the chart renders, one invariant a file, over every values file of ``charts/naisho/ci``."""
