"""Requests to a node's mailboxes: translate, authorise, call the domain."""
