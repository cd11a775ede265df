"""The commands: `indimail ...` and the names that users know, each lazy in what it imports."""
