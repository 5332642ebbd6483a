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


@pytest.fixture(scope="session")
def round_once(tmp_path_factory: pytest.TempPathFactory, new_clock: Any) -> Path:
    """A workspace in which three videos of two cameras went round the whole loop, to be copied."""
    from test_lineage_purge import gone_round

    with ExitStack() as stack:
        space = Workspace(tmp_path_factory.mktemp("round") / "at", new_clock(), stack)
        gone_round(space, {})
    return space.root
