"""The workspaces beside a CVAT server that the tests of bad input share."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from data_engine.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cvat_server import CvatServer
    from cvat_team import Team


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cvat_team import draw

    folder = tmp_path_factory.mktemp("template") / "ws"
    assert main(["init", str(folder), "--classes", "person,helmet", "--quiet"]) == 0
    images, annotations = [], []
    for number, letter in enumerate("abcd", 1):
        draw(folder / "in" / f"p{letter}.jpg", number)
        images.append({"id": number, "file_name": f"p{letter}.jpg", "width": 64, "height": 48})
        annotations += [
            {
                "id": 2 * number + category,
                "image_id": number,
                "category_id": category,
                "bbox": [10.0 * category, 5.0, 8.0, 20.0],
                "area": 160.0,
                "iscrowd": 0,
                "score": 0.5,
            }
            for category in (1, 2)
        ]
    categories = [{"id": 1, "name": "person", "supercategory": "a"}, {"id": 2, "name": "helmet", "supercategory": "a"}]
    file = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "pre.json").write_text(json.dumps(file))
    return folder


@pytest.fixture
def new_team(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[CvatServer], Team]:
    from cvat_team import Team

    def make(server: CvatServer) -> Team:
        folder = tmp_path / "ws"
        shutil.copytree(template, folder)
        monkeypatch.chdir(folder)
        capfd.readouterr()
        return Team(folder, server, monkeypatch, capfd)

    return make


@pytest.fixture
def team(new_team: Callable[[CvatServer], Team]) -> Iterator[Team]:
    from cvat_server import CvatServer

    with CvatServer(seed=1) as server:
        yield new_team(server)
