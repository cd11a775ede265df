"""The joiners: what accepts, waits, spawns and combines; one daemon a file."""
