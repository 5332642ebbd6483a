"""What lies beside a video is taken at its word, or refused by name."""

from __future__ import annotations

import json

import pytest

from data_engine.app.footage.cameras import Said
from data_engine.app.footage.sidecars import read_sidecar, sidecar_keys
from data_engine.errors import DamagedInputError


def test_where_a_sidecar_may_lie():
    assert sidecar_keys("v/a b.mp4") == ("v/a b.mp4.json", "v/a b.json")
    assert sidecar_keys("v/yard.left", folder=True) == ("v/yard.left.json",)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, Said()),
        (
            {"venue": " Halle ", "event": "Messe", "camera": "Tor ä", "captured_at": "2026-11-20T08:00:00+01:00"},
            Said("Halle", "Messe", "Tor ä", "2026-11-20T08:00:00+01:00"),
        ),
        ({"venue": "", "event": None, "frames": [1, 2], "info": {"venue": 3}}, Said()),
        ({"captured_at": "20261120T080000Z"}, Said(captured_at="2026-11-20T08:00:00+00:00")),
        ({"captured_at": "2026-11-20 08:00"}, Said(captured_at="2026-11-20T08:00:00")),
        ({"captured_at": "2026-11-20"}, Said(captured_at="2026-11-20")),
    ],
)
def test_what_a_sidecar_says(document, said):
    assert read_sidecar(json.dumps(document).encode(), key="a.json") == said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"venue": 3}', "a.json: venue must be text"),
        (b'{"captured_at": 1732089600}', "a.json: captured_at must be text"),
        (b'{"captured_at": "yesterday"}', "a.json: captured_at is not a time: 'yesterday'"),
        (b'{"captured_at": "2026-13-01"}', "a.json: captured_at is not a time: '2026-13-01'"),
        (b"[]", "a.json is not a description of a video: expected object, got array at its top"),
        (b"", "a.json is empty, not a description of a video"),
        (b'{"venue": "x', "a.json ends in the middle: it is a truncated piece of JSON, not a description of a video"),
        (b'{"venue": "\xff"}', "a.json holds text that is not UTF-8"),
    ],
)
def test_a_bad_sidecar(data, message):
    with pytest.raises(DamagedInputError) as caught:
        read_sidecar(data, key="a.json")
    assert caught.value.message == message
