"""Parts loaded, renumbered, concatenated and written by a JSON library alone; run by ``merge.py``.

    PYTHON benchmarks/merge_peers.py orjson|msgspec|json FOLDER

FOLDER holds ``parts/part_*.json``.  Nothing is checked and nothing recorded: it is what any merge of files has to do.
Printed are the seconds by the clock and by the processor, without the start of Python and its imports.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Codec = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]


def codec(library: str) -> Codec:
    """What reads JSON, and what writes it."""
    if library == "orjson":
        import orjson  # type: ignore[import-not-found]

        return orjson.loads, orjson.dumps
    if library == "msgspec":
        import msgspec

        return msgspec.json.decode, msgspec.json.encode
    return json.loads, lambda document: json.dumps(document).encode()


def merge(parts: list[Path], target: Path, loads: Callable[[bytes], Any], dumps: Callable[[Any], bytes]) -> int:
    """Write the parts as one file; how many boxes it has."""
    images: list[Any] = []
    annotations: list[Any] = []
    classes: dict[str, int] = {}
    for path in parts:
        part = loads(path.read_bytes())
        ids = {c["id"]: classes.setdefault(c["name"], len(classes) + 1) for c in part["categories"]}
        shift = len(images)
        for image in part["images"]:
            image["id"] += shift
            images.append(image)
        for a in part["annotations"]:
            a["id"] = len(annotations) + 1
            a["image_id"] += shift
            a["category_id"] = ids[a["category_id"]]
            annotations.append(a)
    categories = [{"id": n, "name": name, "supercategory": "object"} for name, n in classes.items()]
    target.write_bytes(dumps({"images": images, "annotations": annotations, "categories": categories}))
    return len(annotations)


def main() -> None:
    library, folder = sys.argv[1], Path(sys.argv[2])
    loads, dumps = codec(library)
    parts = sorted((folder / "parts").glob("part_*.json"))
    began, busy = time.perf_counter(), time.process_time()
    boxes = merge(parts, folder / "peer.json", loads, dumps)
    spent, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"s": round(spent, 2), "cpu": round(cpu, 2), "boxes": boxes, "mb": peak}))


if __name__ == "__main__":
    main()
