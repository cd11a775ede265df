"""Domains, users, aliases and passwords: one port, adapters in memory and in SQL."""
