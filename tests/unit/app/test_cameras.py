"""Two cameras are never taken for one, and one is not taken for as many as it filmed days."""

from __future__ import annotations

import pytest

from data_engine.app.footage.cameras import PathPattern, Said, camera_of, moment
from data_engine.errors import UsageError


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


@pytest.mark.parametrize(
    ("pattern", "path", "said"),
    [
        ("{venue}/{event}/{camera}/{name}", "Halle/Messe 1/Tor ä/08.mp4", Said("Halle", "Messe 1", "Tor ä")),
        ("{venue}/{event}/{camera}/{name}", "Halle/Tor/08.mp4", None),
        ("{venue}/{event}/{camera}/{name}", "a/Halle/Messe/Tor/08.mp4", None),
        ("{camera}", "gate.mp4", Said(camera="gate")),
        ("{camera}", "gate.north.mp4", Said(camera="gate.north")),
        ("{camera}.mp4", "gate.mp4", Said(camera="gate")),
        ("{camera}.mp4", "gate.mkv", None),
        ("{camera}/{_}", "two\nlines/08.mp4", Said(camera="two\nlines")),
        ("{camera}_{_}_{_}", "gate_north_1_2.avi", Said(camera="gate_north")),
        ("{venue}/{venue}_{camera}", "hall/hall_gate.mp4", Said("hall", None, "gate")),
        ("{venue}/{venue}_{camera}", "hall/yard_gate.mp4", None),
        ("rec (1)/{camera}+", "rec (1)/gate+.mp4", Said(camera="gate")),
        # Times.
        (
            "{venue}/{date}/{camera}_{time}.mp4",
            "hall/2026-11-20/gate_8_083000.mp4",
            Said("hall", None, "gate_8", "2026-11-20T08:30:00"),
        ),
        ("{camera}_{date}{time}", "gate_202611200830.mp4", Said(camera="gate", captured_at="2026-11-20T08:30:00")),
        ("{camera}_{date}_{time}", "gate_2026.11.20_08h30.mp4", Said(camera="gate", captured_at="2026-11-20T08:30:00")),
        ("{date}/{time}/{camera}", "2026_11_20/08h/gate.mp4", Said(camera="gate", captured_at="2026-11-20T08:00:00")),
        ("{date}/{camera}", "20261120/gate.mp4", Said(camera="gate", captured_at="2026-11-20")),
        # Digits that are no day, or no time.
        ("{date}/{camera}", "20261320/gate.mp4", None),
        ("{date}_{time}_{camera}", "20261120_250000_gate.mp4", None),
        ("{date}/{camera}", "monday/gate.mp4", None),
    ],
)
def test_what_a_path_says(pattern, path, said):
    assert PathPattern(pattern).match(path) == said


def test_a_folder_has_no_suffix():
    pattern = PathPattern("{venue}/{camera}")
    assert pattern.match("hall/yard.left", folder=True) == Said("hall", None, "yard.left")
    assert pattern.match("hall/yard.left") == Said("hall", None, "yard")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("{venue", "expected '}' before end of string"),
        ("venue}", "Single '}' encountered in format string"),
        ("hall/gate", "it names none of venue, event, camera, date, time"),
        ("{_}/{name}", "it names none of venue, event, camera, date, time"),
        ("{}", "{} is not a plain name"),
        ("{camera:03}", "{camera} is not a plain name"),
        ("{camera!r}", "{camera} is not a plain name"),
        ("{a b}/{camera}", "{a b} is not a plain name"),
        ("{venue}{camera}", "nothing parts {venue} from {camera}"),
        ("{camera}/{time}", "a time without a date says nothing"),
        ("/videos/{camera}", "it is not relative to the given folder"),
        ("../{camera}", "it is not relative to the given folder"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern, why):
    with pytest.raises(UsageError) as caught:
        PathPattern(pattern)
    assert caught.value.message == f"--pattern {pattern}: {why}"
    assert caught.value.hint == "name fields in braces: --pattern '{venue}/{event}/{camera}/{name}'"


@pytest.mark.parametrize(
    ("said", "otherwise", "expected"),
    [
        (None, None, None),
        (None, "2026-11-20T08:00:00", "2026-11-20T08:00:00"),
        ("2026-11-20T09:00:00", "2026-11-20T08:00:00+01:00", "2026-11-20T09:00:00"),
        ("2026-11-20", None, "2026-11-20"),
        # The day that was said, as exactly as it is known.
        ("2026-11-20", "2026-11-20T08:00:00+01:00", "2026-11-20T08:00:00+01:00"),
        ("2026-11-20", "2026-11-21T08:00:00", "2026-11-20"),
    ],
)
def test_which_time_counts(said, otherwise, expected):
    assert moment(said, otherwise) == expected


def test_what_is_said_twice_counts_as_it_was_said_first():
    sidecar = Said(venue="hall", captured_at="2026-11-20")
    assert sidecar.over(Said("yard", "fair", "gate", "2026-11-20T08:00:00")) == Said(
        "hall", "fair", "gate", "2026-11-20T08:00:00"
    )
