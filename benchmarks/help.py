"""What `dataengine --help` costs, against a bare Typer app with as many commands.

    python benchmarks/help.py [--runs 15]

Both are run in turn in fresh processes; printed are medians of CPU seconds and their ratio (the limit is 1.5).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from data_engine.stages import COMMANDS

LIMIT = 1.5
BARE = """\
import typer
app = typer.Typer(rich_markup_mode=None)
{commands}
app()
"""
COMMAND = """
@app.command(help={help!r})
def {name}(folder: str = typer.Option("", help="A folder.")) -> None:
    pass
"""


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds of one run of a command, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        commands = "".join(COMMAND.format(help=step.help, name=step.command) for step in COMMANDS)
        bare.write_text(BARE.format(commands=commands), "utf-8")
        ours = [sys.executable, "-m", "data_engine", "--help"]
        theirs = [sys.executable, str(bare), "--help"]
        for command in (ours, theirs):
            cpu_seconds(command)
        pairs = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(runs)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"dataengine --help      {mine:.3f} CPU s")
    print(f"bare Typer app         {other:.3f} CPU s ({len(COMMANDS)} commands)")
    print(f"ratio                  {mine / other:.2f} (limit {LIMIT})")


if __name__ == "__main__":
    main()
