"""What goes out: to this node's mailboxes, to other nodes, to servers outside the network."""
