"""What comes in: HTTPS and plain HTTP from clients, gRPC streams from other nodes."""
