"""The releases that this adapter was tried with; with others it says so and goes on."""

from __future__ import annotations

TRIED_SERVERS = ("2.73",)
"""Releases of the server, as major and minor number."""
TRIED_SDKS = ("2.73", "2.80")
"""Releases of ``cvat-sdk``."""


def remark(server: str, sdk: str) -> str | None:
    """What to tell people about the releases in use; None where both were tried."""
    strange = []
    if minor(server) not in TRIED_SERVERS:
        strange.append(f"CVAT {server} (tried: {', '.join(TRIED_SERVERS)})")
    if minor(sdk) not in TRIED_SDKS:
        strange.append(f"cvat-sdk {sdk} (tried: {', '.join(TRIED_SDKS)})")
    return f"dataengine was not tried with {' and '.join(strange)}: look twice at what it does" if strange else None


def minor(version: str) -> str:
    """Major and minor number."""
    return ".".join(version.split(".")[:2])
