"""A mailbox and the nodes that keep it: requests with retries, receipts, polling."""
