"""`mixnn embed-shards`: features of very many images, by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence

from mixnn.cli.parsing import Parser, data_options
from mixnn.config import AUTO, LAYOUT
from mixnn.config.find import EmbedOptions
from mixnn.errors import InputError, require_between
from mixnn.utils.console import say, show

READING = {*LAYOUT, "image_size", "intensity_range", "unlabeled", "missing_labels", "class_order", "cache_dir"}
SIZES = (1, 1_000_000)
DATA = (
    "images with labels as for find; or a folder or an address (s3://…, by fsspec) of images in class folders, of "
    ".parquet with the images inside, or of WebDataset .tar"
)


def run(words: Sequence[str]) -> int:
    given = build_parser().parse_words(words)
    require_between("--shard-size", given.shard_size, *SIZES)
    options = EmbedOptions(network=given.network, weights=given.weights, device=given.device, data=data_options(given))
    if given.out is None:
        raise InputError("--out is missing: say where to write the shards, as --out features/")
    say(f"mixnn: reading {given.source} …")

    from mixnn.shards.embed import embed_shards

    made = embed_shards(given.source, given.out, options, given.ray, given.shard_size)
    shards = f"{made.shards:,} shard{'s' * (made.shards > 1)}"
    show(f"{given.out}: {made.samples:,} samples in {shards}, with names and labels")
    if made.unreadable:
        name, why = made.unreadable[0]
        show(
            f"left out: {len(made.unreadable):,} that cannot be read, the first: {name} ({why}); all in unreadable.json"
        )
    show(f"to go on: mixnn find shards:{given.out} --ray {given.ray} --out runs/first")
    return 0


def build_parser() -> Parser:
    parser = Parser(
        prog="mixnn embed-shards",
        description="Write features of very many images with their names and labels, a shard for each piece of DATA, "
        "by the workers of a Ray cluster. Repeat the command where it was stopped: it goes on.",
        example="mixnn embed-shards s3://bucket/photos --ray 16 --out s3://bucket/features",
    )
    parser.add_argument("source", metavar="DATA", help=DATA)
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder or address to write the shards to (required)"
    )
    parser.add_argument("--ray", type=int, default=2, help="workers at once, each with a CPU, and a GPU if there are")
    parser.add_argument("--shard_size", type=int, default=10_000, help="samples of a shard, about; a tar is one shard")
    parser.add_argument("--network", type=str, default=AUTO, help="such as timm:NAME; auto takes the best there is")
    parser.add_argument(
        "--weights", type=str | None, default=None, help="of that network: a file, or hub for those of timm"
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda …; auto takes a GPU where there is one")
    parser.add_data_options(READING)
    return parser
