"""Maildir++: what is delivered, kept in files that any other program can read."""
