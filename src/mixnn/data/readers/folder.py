"""Image folders: one sub-folder a class, or Hugging Face's metadata file beside the images.

Must not know: how to decode, torch.
"""

from __future__ import annotations

import os

import numpy as np

from mixnn.data.dataset import Part, Source
from mixnn.data.images.decoder import SUFFIXES
from mixnn.data.images.encoded import ImageFiles
from mixnn.data.readers import Columns
from mixnn.data.readers.columns import SPLITS, Content, choose, is_utf8, take, to_source
from mixnn.data.readers.table import read_content
from mixnn.errors import InputError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

Seen = set[tuple[int, int]]  # device and inode of folders


def read_folder(path: str, columns: Columns) -> Source:
    """`path`/[train|val|test/]class/…/image.jpg, or metadata.csv, .jsonl or .parquet in place of class folders.

    Images are not opened. Hidden files and files that are no images by name are passed over; links
    to folders are followed. The order is torchvision's `ImageFolder`: class by class, as arrays of labels come.

    Raises:
        InputError: the folder is missing, has no class folders or a class without images, a folder
            cannot be listed, a metadata file is damaged, there are parts but none to train on, or a held-out
            part has a class of its own.
    """
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist: give a folder with one sub-folder for each class")
    if not os.path.isdir(path):
        raise InputError(f"{path} is a file: give a folder of images, or csv:{path} for a list")
    columns.refuse(f"does not go with a folder: file names are relative to {path}", ("root",))
    metadata = metadata_file(path)
    if metadata is not None:
        content = _read_metadata(metadata, columns)
        source = to_source(content, metadata, path)
        return _by_first_folder(source) if content.splits is None else source
    folders = split_folders(path)
    if not any(metadata_file(os.path.join(path, folder)) for folder in folders.values()):
        columns.refuse(f"does not go with {path}, which has no metadata file")
    if folders:
        return Source(_read_parts(path, folders, columns))
    return Source({"train": _read_classes(path, "", {_identity(path)})})


def _read_parts(path: str, folders: dict[str, str], columns: Columns) -> dict[str, Part]:
    """Each part from its folder in `path`, "train" first; names are relative to `path`."""
    seen = {_identity(path), *(_identity(os.path.join(path, folder)) for folder in folders.values())}
    parts: dict[str, Part] = {}
    for split, folder in folders.items():
        metadata = metadata_file(os.path.join(path, folder))
        if metadata is not None:
            content = _read_metadata(metadata, columns)._replace(splits=None)  # the folder says it
            part = to_source(content, metadata, os.path.join(path, folder)).parts["train"]
            parts[split] = part._replace(names=[f"{folder}/{name}" for name in part.names])
            continue
        parts[split] = _read_classes(path, f"{folder}/", seen)
        new = sorted(set(parts[split].labels) - set(parts["train"].labels))
        if new:
            where = os.path.join(path, folder)
            raise InputError(f"{where} has class {new[0]!r}, which {folders['train']} has not: rename or remove it")
    return parts


def _read_classes(top: str, inner: str, seen: Seen) -> Part:
    """Class folders in `top`/`inner`; folders of `seen` are not entered from below."""
    folder = os.path.join(top, inner)
    classes = [name for name in _subfolders(folder) if _identity(os.path.join(folder, name)) not in seen]
    if not classes:
        fix = "put the images of each class into a folder of its own, or a metadata.csv beside them"
        raise InputError(f"{folder} has no sub-folders: {fix}")
    seen = seen | {_identity(os.path.join(folder, name)) for name in classes}
    names: list[str] = []
    labels: list[str] = []
    for name in classes:
        if not is_utf8(name):
            raise InputError(f"class folder {os.path.join(folder, name)!r} has a name that is not UTF-8: rename it")
        files = _images_below(os.path.join(folder, name), seen)
        if not files:
            suffixes = ", ".join(sorted(SUFFIXES))
            raise InputError(f"class folder {os.path.join(folder, name)} has no images ({suffixes}): remove it")
        names += [f"{inner}{name}/{file}" for file in files]
        labels += [name] * len(files)
    return Part(ImageFiles(top, names), labels, names)


def _images_below(folder: str, seen: Seen) -> list[str]:
    """Names relative to `folder`, by folder and then by file. No folder is entered twice, whatever links say."""
    seen, found, waiting = set(seen), [], [""]
    while waiting:
        inner = waiting.pop()
        links, folders = [], []
        for entry in _entries(os.path.join(folder, inner)):
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{inner}{entry.name}/")
            elif entry.is_symlink() and os.path.isdir(entry.path):
                links.append(f"{inner}{entry.name}/")
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                found.append(inner + entry.name)
        for name in sorted(folders) + sorted(links):
            identity = _identity(os.path.join(folder, name))
            if identity not in seen:
                seen.add(identity)
                waiting.append(name)
    return sorted(found, key=os.path.split)


def split_folders(path: str) -> dict[str, str]:
    """Split -> folder, "train" first; empty where `path` has class folders.

    Raises:
        InputError: two folders are one part, or the folders are parts without one to train on.
    """
    names = _subfolders(path)
    lower = {name.lower() for name in names}
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: SPLITS.get(name.lower()) != "train"):
        split = SPLITS.get(name.lower())
        inside = os.path.join(path, name)
        if split == "train" and not (metadata_file(inside) or _subfolders(inside) or SPLITS.keys() >= lower):
            continue  # a class of that name
        if split is None or "train" not in (split, *found):
            continue
        if split in found:
            raise InputError(f"{path} has {found[split]!r} and {name!r}, both for {split}: keep one")
        found[split] = name
    if names and "train" not in found and SPLITS.keys() >= lower:
        raise InputError(f"{path} has {', '.join(names)}, but no train beside them: add it, or give one part alone")
    strange = [name for name in names if name not in found.values()]
    if found and strange:
        what = f"has {found['train']!r} with folders inside, so {strange[0]!r} beside it has to be train, val or test"
        raise InputError(f"{path} {what}: move it elsewhere")
    return found


def _read_metadata(path: str, columns: Columns) -> Content:
    kind = os.path.splitext(path)[1].removeprefix(".")
    return read_content(path, kind, lambda header: choose(header, columns, path, guess=True))


def metadata_file(folder: str) -> str | None:
    """The table that says the labels of the images in `folder`; None where its folders do.

    Raises:
        InputError: there are two.
    """
    found = [path for name in METADATA if os.path.isfile(path := os.path.join(folder, name))]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} stand side by side: keep one")
    return found[0] if found else None


def _by_first_folder(source: Source) -> Source:
    """Parts where all file names begin with the folder of one, `train` among them."""
    whole = source.parts["train"]
    splits = np.array([SPLITS.get(name.partition("/")[0].lower(), "") for name in whole.names])
    found = np.unique(splits).tolist()
    if "" in found or "train" not in found:
        return source
    return source._replace(parts={split: take(whole, np.flatnonzero(splits == split)) for split in found})


def _subfolders(folder: str) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if os.path.isdir(entry.path))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """All but hidden ones."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed ({error.strerror}): allow it, or remove it") from error


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be looked at ({error.strerror}): allow it, or remove it") from error
    return status.st_dev, status.st_ino
