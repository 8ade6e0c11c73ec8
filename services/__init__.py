"""The services of a naisho network. They meet through wire types and events, never by import."""
