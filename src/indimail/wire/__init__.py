"""What the protocols' bytes have in common: lines and dot-stuffed text.  No I/O; imports `mail`."""
