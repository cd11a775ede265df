"""An instance to be examined."""

from pathlib import Path

import pytest

from manage.doctor.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "i")
