"""Putting it together: the instance, its settings, the adapters, the processes."""
