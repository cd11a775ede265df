"""A world that a test can end anywhere: a disk that forgets, SQLite on it, a clock moved by hand, DNS.

    from indimail.testing.disk import PowerCut, SimulatedDisk
    from indimail.testing.dns import Zones

Public, for what is built on this project too; `plugin` has it as pytest fixtures.
"""
