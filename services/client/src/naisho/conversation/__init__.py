"""What accounts say to each other (wire 8.1 to 8.3): content, sending, receiving."""
