"""The durable queue: one port, an SQLite and a memory adapter, and spool files for large bodies."""
