"""Ours and Debian's Postfix, side by side, on this machine: `make bench` (see bench/README.md)."""
