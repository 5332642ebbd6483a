"""The server as a process of its own: prints its address, and serves until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from . import ADMIN, CvatServer


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.cvat_server", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0 is any that is free")
    options.add_argument("--seed", type=int, default=0, help="of the faults that are drawn")
    options.add_argument("--folder", type=Path, help="where images and exports lie; else a temporary folder")
    options.add_argument("--user", default=ADMIN[0], help="the account that it starts with")
    options.add_argument("--password", default=ADMIN[1])
    options.add_argument("--anonymous-a-minute", type=int, help="requests without credentials before 429")
    options.add_argument("--work-seconds", type=float, default=0.0, help="how long background work takes at least")
    options.add_argument("--largest-request", type=int, help="bytes of a body before 413")
    options.add_argument("--version", default=None, help="the version that it says it is")
    asked = vars(options.parse_args())
    name, password, version = asked.pop("user"), asked.pop("password"), asked.pop("version")
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if version is not None:
        asked["version"] = version
    with CvatServer(admin=(name, password), **asked) as server:
        print(server.url, flush=True)
        over.wait()
    sys.exit(0)


if __name__ == "__main__":
    main()
