"""Decision records: why each mail was taken, refused, delivered or not (written, found, told)."""
