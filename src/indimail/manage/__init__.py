"""Use cases of an administrator, without a terminal: domains, users, the instance itself."""
