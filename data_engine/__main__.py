"""``python -m data_engine``: the same as the ``dataengine`` command."""

from data_engine.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
