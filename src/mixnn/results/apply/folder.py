"""A folder of images again, each in the folder of its reviewed class. Must not know: runs, the command line, torch."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mixnn.data.labels.corrections import Corrections
from mixnn.data.readers import Columns
from mixnn.data.readers.folder import read_folder
from mixnn.data.readers.layout import RECORD, Layout, find_layout
from mixnn.errors import InputError
from mixnn.results.apply.changes import ORIGINAL, Changes
from mixnn.results.apply.table import check_replaceable, clean_in_place, clean_table
from mixnn.utils.csv_files import write_csv
from mixnn.utils.files import atomic_write

Mode = Literal["copy", "hardlink", "symlink"]
HEADER = ("file_name", "label", ORIGINAL, "decision", "original_file_name")


class Labeled(NamedTuple):
    """One image.

    Attributes:
        name: relative to the data.
        current: the label that the data gives it.
        original: the label of before.
        now: the label from now on; None where it goes.
    """

    name: str
    current: str
    original: str
    now: str | None


def clean_folder(path: str, columns: Columns, changes: Changes, decisions: Corrections, out: Path, mode: Mode) -> None:
    """A new folder `out` with all images of `path`, those to train on in the folders of their classes of now.

    Where tables say the labels, images stay where they are and the tables are written anew. What was decided stands in
    `corrections_applied.csv`.

    Args:
        decisions: to be named in that file.
        mode: images are copies, or links to those of `path`.

    Raises:
        InputError: a label cannot be the name of a folder, a link cannot be made, or `out` cannot be written.
    """
    images, layout = labeled_images(path, columns, changes), find_layout(path, columns)
    places = new_places(layout, images)
    with atomic_write(out) as new:
        new.mkdir()
        for name, place in places.items():
            source = os.path.realpath(os.path.join(path, name))
            if os.path.isfile(source):  # a table may name what is not there
                _put(source, new / place, mode)
        for inside, table in layout.tables.items():
            target = new / inside / os.path.basename(table)
            clean_table(table, _kind(table), columns, changes, target, inside=inside, guess=True)
        write_record(new / f"{RECORD}.csv", images, places, decisions)


def clean_folder_in_place(path: str, columns: Columns, changes: Changes, decisions: Corrections) -> None:
    """Move the images of `path` to the folders of their classes, and what was dropped to `path`-dropped.

    Where tables say the labels, these are written anew, and kept as they were with `.bak` at the end.

    Raises:
        InputError: a label cannot be the name of a folder, a link leads out of `path` where something would be moved or
            written, or a file cannot be moved. Links to files are moved, and what they lead to stays where it is.
    """
    images, layout, top = labeled_images(path, columns, changes), find_layout(path, columns), Path(path)
    places = new_places(layout, images)
    dropped = Path(f"{top.resolve()}-dropped")
    moves = {
        top / image.name: top / places[image.name] if image.name in places else dropped / image.name
        for image in images
        if not _in_table(image.name, layout) and places.get(image.name) != image.name
    }
    for table in layout.tables.values():
        check_replaceable(table)
    for folder in dict.fromkeys(path.parent for path in (*moves, *moves.values(), *map(Path, layout.tables.values()))):
        _check_inside(folder, dropped if folder.is_relative_to(dropped) else top.resolve())
    records = itertools.chain([RECORD], (f"{RECORD}-{i}" for i in itertools.count(2)))
    record = next(file for name in records if not (file := top / f"{name}.csv").exists())
    write_record(record, images, places, decisions)  # first: it says what was to be moved, whatever happens
    try:
        for source, target in moves.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target):  # of an earlier round
                raise InputError(f"--in-place: {target} is there already: move it away")
            if source.is_symlink():
                target.symlink_to(os.path.realpath(source))  # a relative one would lead elsewhere from there
                source.unlink()
            else:
                shutil.move(source, target)
            if not any(source.parent.iterdir()):
                os.removedirs(os.path.realpath(source.parent))  # a class without images would be refused
    except OSError as error:
        fix = f"allow it; what was to be moved stands in {record}"
        raise InputError(f"--in-place: {error.filename} cannot be moved ({error.strerror}): {fix}") from error
    for inside, table in layout.tables.items():
        clean_in_place(table, _kind(table), columns, changes, inside=inside, guess=True)


def labeled_images(path: str, columns: Columns, changes: Changes) -> list[Labeled]:
    """The images of all parts; decisions are about those to train on.

    Raises:
        InputError: the folder cannot be read.
    """
    images: list[Labeled] = []
    for part, content in read_folder(path, columns).parts.items():
        current = list(map(str, content.labels))
        original, now = changes.of(content.names, current) if part == "train" else (current, current)
        images += map(Labeled, content.names, current, original, now)
    return images


def new_places(layout: Layout, images: Sequence[Labeled]) -> dict[str, str]:
    """Where each image goes, by name; those that go altogether, or lie outside the folder, are not in it.

    No two get one place: `cat/1.jpg` that is a dog becomes `dog/1-cat.jpg` where there is a `dog/1.jpg`.

    Raises:
        InputError: a label cannot be the name of a folder.
    """
    inner = layout.parts.get("train", "")
    here = [image for image in images if image.now is not None and _is_inside(image.name)]
    places = {image.name: image.name for image in here if image.now == image.current or _in_table(image.name, layout)}
    taken = set(places)
    for image in here:
        if image.name in places or image.now is None:
            continue
        _, _, rest = image.name.removeprefix(inner).partition("/")
        stem, ending = os.path.splitext(f"{inner}{_folder_name(image.now)}/{rest}")
        endings = itertools.chain(["", f"-{image.current}"], (f"-{image.current}-{i}" for i in itertools.count(2)))
        place = next(place for more in endings if (place := f"{stem}{more}{ending}") not in taken)
        taken.add(place)
        places[image.name] = place
    return places


def write_record(out: Path, images: Iterable[Labeled], places: dict[str, str], decisions: Corrections) -> None:
    """A row for each image that was decided about, or has another label than the data's own."""
    rows = (
        [places.get(name, ""), now, original, decisions[name].decision if name in decisions else "", name]
        for name, current, original, now in images
        if name in decisions or now != current
    )
    write_csv(out, HEADER, rows)


def _put(source: str, target: Path, mode: Mode) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if mode == "copy":
            shutil.copy2(source, target)
        else:
            (os.link if mode == "hardlink" else os.symlink)(source, target)
    except OSError as error:
        fix = "choose another --out" if mode == "copy" else "use --mode copy"
        raise InputError(f"--mode {mode}: {source} cannot be put there ({error.strerror}): {fix}") from error


def _folder_name(label: str) -> str:
    """Raises InputError where no class folder can be called so."""
    if not label or label.startswith(".") or {"/", "\\", "\0"} & set(label):
        raise InputError(
            f"label {label!r} cannot be the name of a folder: choose a name without slashes or leading dots"
        )
    return label


def _is_inside(name: str) -> bool:
    return not os.path.isabs(name) and os.path.normpath(name).split(os.sep)[0] != os.pardir


def _check_inside(folder: Path, top: Path) -> None:
    """Raise InputError where links lead out of `top` on the way to `folder`."""
    real = folder.resolve()
    if not real.is_relative_to(top):
        raise InputError(f"--in-place: {folder} is outside of {top}, by a link to {real}: give --out")


def _in_table(name: str, layout: Layout) -> bool:
    return any(name.startswith(inside) for inside in layout.tables)


def _kind(table: str) -> str:
    return os.path.splitext(table)[1].removeprefix(".")
