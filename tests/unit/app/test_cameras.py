"""Two cameras are never taken for one, and one is not taken for as many as it filmed days."""

from __future__ import annotations

import pytest

from data_engine.app.cameras import camera_of


@pytest.mark.parametrize(
    ("file", "camera"),
    [
        ("08.mp4", "08"),
        ("gate/08.mp4", "gate"),
        ("Werk Süd/カメラ 1/08 00.mp4", "Werk Süd/カメラ 1"),
        ("Werk Süd/カメラ 2/08 00.mp4", "Werk Süd/カメラ 2"),
        ("gate/2026-11-20/08.mp4", "gate"),
        ("gate/20261120/08/a.mp4", "gate"),
        ("gate/2026/11/20/08h/a.mp4", "gate"),
        ("gate/2026-11-20T08-00-00/a.mp4", "gate"),
        ("2026/11/20/hall 1/camera 2/a.mp4", "hall 1/camera 2"),
        # Numbers alone are cameras as long as no date stands before them.
        ("hall/01/a.mp4", "hall/01"),
        ("hall/02/2026-11-20/a.mp4", "hall/02"),
        ("1920x1080/a.mp4", "1920x1080"),
        ("2026-11-20/a.mp4", "2026-11-20"),
    ],
)
def test_the_camera_is_the_folders_without_their_dates(file, camera):
    assert camera_of(file, ".") == camera
    assert camera_of(f"videos raw/{file}", "videos raw") == camera
