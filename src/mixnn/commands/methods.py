"""`mixnn methods`: what there is, with options and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from mixnn.commands.parsing import Parser, readable_output


def run(words: Sequence[str]) -> int:
    Parser(prog="mixnn methods", description="List the methods with their options.").parse_words(words)
    from mixnn.methods import METHODS

    with readable_output():
        for name, kind in METHODS.items():
            print(f"{name:<8} {(inspect.getdoc(kind) or '').splitlines()[0]}")
            for option in inspect.signature(kind).parameters.values():
                if option.kind is option.KEYWORD_ONLY:
                    print(f"{'':<8}   --{name}.{option.name.replace('_', '-')} {option.default}")
        print("\n`mixnn train --method NAME --help` tells what the options mean.")
    return 0
