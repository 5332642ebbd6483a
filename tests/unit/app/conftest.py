from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from drawn_workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, clock: Any) -> Iterator[Workspace]:
    with ExitStack() as stack:
        yield Workspace(tmp_path / "Halle 3 ä", clock, stack)
