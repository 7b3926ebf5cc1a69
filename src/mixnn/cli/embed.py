"""`mixnn embed`: features of images, as a file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from mixnn.cli.parsing import DATA, Parser, data_options, with_settings
from mixnn.config import LAYOUT
from mixnn.config.find import EmbedOptions
from mixnn.errors import InputError
from mixnn.utils.console import say, show

if TYPE_CHECKING:
    from mixnn.training.embed import Embedded

READING = {*LAYOUT, "image_size", "intensity_range", "on_bad_image", "store", "cache_dir", "workers"}
FIRST = {
    "DATA": DATA,
    "--out FILE": "the .npz to write; a folder gets a features.npz",
    "--network NAME": "network to see photos by, such as timm:NAME; auto takes the best pretrained one there is",
    "--weights FILE": "of that network: a file, or hub for those of timm",
    "--encoder FILE": "a network of your own as a file, .onnx, or .pt2 of torch.export",
    "--pixel-mean A,B,C": "taken off the pixels in 0-1 that the encoder gets; ImageNet's where not given",
    "--pixel-std A,B,C": "what they are then divided by; ImageNet's where not given",
    "--data.image-size N": "pixels that photos are scaled to; what the network takes where not given",
    "--device NAME": "cpu, cuda, cuda:1 …; auto takes a GPU where there is one",
    "--config FILE": "settings as YAML",
}


def run(words: Sequence[str]) -> int:
    given = build_parser().parse_words(with_settings(words))
    if given.out is None:
        raise InputError("--out is missing: say where to write the features, as --out features.npz")
    source = given.data_argument or given.source
    if source is None:
        raise InputError("DATA is missing: give an image folder, csv:FILE, npz:FILE or demo:; docs/data.md has all")
    names = [field.name for field in fields(EmbedOptions) if field.name != "data"]
    options = EmbedOptions(**{name: given[name] for name in names}, data=data_options(given))
    options.check()
    say(f"mixnn: reading {source} …")

    from mixnn.training.embed import embed

    show(*summary(embed(source, options, given.out), source))
    return 0


def build_parser() -> Parser:
    parser = Parser(
        prog="mixnn embed",
        description="Write features of images, by a pretrained network, with their file names. All parts of DATA are "
        "taken, and labels are not looked at. Repeat the command where it was stopped: it goes on.",
        example="mixnn embed photos/ --out features.npz",
        first=FIRST,
    )
    parser.add_argument("data_argument", nargs="?", metavar="DATA", default=None, help=DATA)
    parser.add_argument("--source", type=str | None, default=None, help="DATA, for files of settings")
    parser.add_argument("--out", type=str | None, default=None, help=".npz to write (required)")
    parser.add_argument("--config", action="config", help="settings as YAML")
    parser.add_class_arguments(EmbedOptions, None, skip={"data"})
    parser.add_data_options(READING)
    return parser


def summary(made: Embedded, source: str) -> list[str]:
    """What came out, and how to go on."""
    parts = ", ".join(f"{name} {count:,}" for name, count in made.counts.items())
    lines = [f"{made.path}: {sum(made.counts.values()):,} × {made.width:,} features ({parts}), with file names"]
    if made.unreadable:
        bad = len(made.unreadable)
        lines.append(f"left out: {bad:,} image{'s' * (bad > 1)} that cannot be read (`unreadable` in it)")
    words = ["mixnn", "find", source, "--features", str(made.path), "--out", "runs/first"]
    return [*lines, f"to go on: {shlex.join(words)}"]
