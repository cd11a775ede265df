"""Control files, as they lie on disk: numbered lines, constant data bases, the TOML, their changes."""
