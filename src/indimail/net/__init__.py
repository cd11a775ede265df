"""Streams, TLS and the counting of connections: the edge to the network."""
