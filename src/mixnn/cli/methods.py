"""`mixnn methods`: what there is, with options, defaults and presets."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from mixnn.cli.parsing import Parser, readable_output
from mixnn.presets import preset_names, read_preset
from mixnn.utils.console import show


def run(words: Sequence[str]) -> int:
    Parser(prog="mixnn methods", description="List the methods with their options and presets.").parse_words(words)
    from mixnn.methods import METHODS

    recipes = {preset: read_preset(preset)["method"] for preset in preset_names()}
    with readable_output():
        for name, kind in METHODS.items():
            show(f"{name:<10} {(inspect.getdoc(kind) or '').splitlines()[0]}")
            parameters = inspect.signature(kind).parameters.values()
            options = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
            words = [f"--{name}.{option.name.replace('_', '-')} {option.default}" for option in options]
            words += [f"--preset {preset}" for preset, method in recipes.items() if method == name]
            for word in words:
                show(f"{'':<10} {word}")
        show("", "`mixnn train --method NAME --help all` tells what the options mean.")
    return 0
