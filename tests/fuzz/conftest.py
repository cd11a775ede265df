"""`make fuzz` sets HYPOTHESIS_PROFILE=fuzz; the fast suite runs a few examples of each target."""

import os

from hypothesis import settings

settings.register_profile("fuzz", max_examples=20_000, deadline=None)
settings.register_profile("fast", max_examples=60, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "fast")
