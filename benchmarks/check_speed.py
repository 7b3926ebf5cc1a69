"""Files that `mixnn check` handles in a minute, when they are in the page cache.

    python benchmarks/check_speed.py IMAGES [--files 20000] [--workers 2] [--rounds 3] [--out FILE]

The images of the folder IMAGES are hard-linked under new names until there are enough, spread over ten classes, in a
folder of their own that is removed at the end. Every link is opened, hashed and decoded as if it were another file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from mixnn.data.check import check
from mixnn.data.images.formats import SUFFIXES
from mixnn.data.readers import read_source
from mixnn.runs.environment import environment


def link(images: list[Path], folder: Path, count: int) -> None:
    for i, image in enumerate(islice(cycle(images), count)):
        place = folder / f"class{i % 10}" / f"{i:07d}{image.suffix}"
        place.parent.mkdir(exist_ok=True)
        os.link(image, place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    images = sorted(path for path in given.images.rglob("*") if path.suffix.lower() in SUFFIXES)
    seconds = []
    with tempfile.TemporaryDirectory(dir=given.images.parent) as folder:  # links cannot leave the file system
        link(images, Path(folder), given.files)
        for _ in range(given.rounds + 1):  # the first brings the files into the page cache
            began = time.perf_counter()
            contents, _ = check(read_source(folder), workers=given.workers, progress=lambda done, total: None)
            seconds.append(time.perf_counter() - began)
            assert len(contents.sizes) == given.files
            assert not contents.unreadable
    size = statistics.mean(path.stat().st_size for path in images)
    result = {
        "what": f"{given.files} files, {size:.0f} bytes on average",
        "workers": given.workers,
        "files_per_minute": 60 * given.files / statistics.median(seconds[1:]),
        "seconds": seconds[1:],
        "environment": environment(0, "cpu", "uint8"),
    }
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
