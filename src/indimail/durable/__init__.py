"""The only place of the project that syncs: the disk, the committer, the lock."""
