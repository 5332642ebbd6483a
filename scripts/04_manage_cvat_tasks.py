#!/usr/bin/env python3
"""The same as `dataengine upload`, with the same options."""

from data_engine.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main(command=("upload",)))
