"""jsonargparse with errors of one line. Must not know: what options mean."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise
from typing import NoReturn

from jsonargparse import ArgumentParser, Namespace

from mixnn.config import DataOptions
from mixnn.errors import InputError


@contextmanager
def readable_output() -> Iterator[None]:
    """For results on standard output: whoever reads them may stop early, as `| head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


HELP = ("-h", "--help")
DATA = "a folder or zip with one folder for each class; or csv:FILE, npz:FILE, hf:NAME, demo: … (docs/data.md has all)"


class Parser(ArgumentParser):
    """Takes `--batch-size` and `--batch_size` alike; raises InputError where argparse would print and exit.

    Args:
        example: a command as a person types it.
        first: what matters first, "--epochs N" -> what it does in a user's words: all that `--help` shows. Where it is
            empty, that is every option but those of reading data. `--help all` has the rest.
    """

    def __init__(
        self, *, prog: str, description: str, example: str = "", first: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self.example, self.first = example, first or {}

    def parse_words(self, words: Sequence[str]) -> Namespace:
        if not set(words).isdisjoint(HELP):
            with readable_output():
                print(self.format_help() if wants_all(words) else self.short_help())
            raise SystemExit(0)
        return self.parse_args([underscored(word) for word in words])

    def short_help(self) -> str:
        """What matters first: an example, and each option in a line or two; the whole help where that is all."""
        if not self.first and not any(option.startswith("--data.") for option in self._option_string_actions):
            return self.format_help()
        width = min(100, shutil.get_terminal_size().columns)
        shown = self.first or dict(self._plain_options())
        given = [name for name in shown if not name.startswith("-") or name.startswith("--out ")]
        usage = " ".join([self.prog, *given, "[options]"])
        lines = [f"usage: {usage}", "", *textwrap.wrap(str(self.description), width), ""]
        lines += [f"    {self.example}", ""] if self.example else []
        for name, words in shown.items():
            default = self.get_default(name.split()[0].lstrip("-").replace("-", "_")) if name.startswith("-") else None
            text = f"{words} (default {default})" if default not in (None, False) else words
            lines += textwrap.wrap(text, width, initial_indent=f"  {name:<24}  ", subsequent_indent=" " * 28)
        return "\n".join([*lines, "", f"All options: `{self.prog} --help all`."])

    def _plain_options(self) -> Iterator[tuple[str, str]]:
        """Names and help of the options that are not about reading data."""
        for action in self._actions:
            name = action.option_strings[-1] if action.option_strings else str(action.metavar)
            if name not in HELP and not name.startswith("--data"):
                value = "" if action.nargs == 0 or not action.option_strings else f" {action.dest.upper()}"
                yield name.replace("_", "-") + value, str(action.help).replace("%%", "%")

    def add_data_options(self, names: Collection[str] | None = None) -> None:
        """The `--data.…` options of `mixnn train`, or those of `names`, for commands that read the same DATA."""
        all_names = {field.name for field in fields(DataOptions)}
        self.add_class_arguments(DataOptions, "data", skip=all_names - set(all_names if names is None else names))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `message` as one line: the option, the value, the fix."""
        text = " ".join(message.split())
        text = re.sub(r'Parser key "([\w.]+)":', lambda m: f"--{m[1].replace('_', '-')}:", text)
        text = re.sub(r"<class '(\w+)'>", r"\1", text)
        text = re.sub(
            r"Does not validate against any of the Union subtypes .*?(Expected .*?) - Expected a NoneType"
            r" Given value type: \w+ Given value: (\S*)",
            r"\1. Got value: \2",
            text,
        )
        for kind, plain in {"a int": "an integer", "a float": "a number", "a bool": "true or false"}.items():
            text = text.replace(f"Expected {kind}", f"Expected {plain}")
        text = re.sub(r"typing\.Literal\[([^\]]*)\]", r"one of \1", text).replace("Expected a one", "Expected one")
        text = re.sub(r"--[\w.]+", lambda m: m[0].replace("_", "-"), text)
        text = re.sub(r"(?<=following arguments are required: ).*", lambda m: self._as_typed(m[0].split(", ")), text)
        unknown = re.search(r"[Uu]nrecognized arguments: (--[\w.-]+)", text)
        if unknown:
            known = [option.replace("_", "-") for action in self._actions for option in action.option_strings]
            close = difflib.get_close_matches(unknown[1], known, 1)
            text += f": did you mean {close[0]}?" if close else ""
        raise InputError(f"{text} (options: `{self.prog} --help`)")

    def _as_typed(self, names: Sequence[str]) -> str:
        """`noise` as --noise, and `source` as the DATA of the usage line."""
        typed = {
            action.dest: action.option_strings[0] if action.option_strings else str(action.metavar or action.dest)
            for action in self._actions
        }
        return ", ".join(typed.get(name, name) for name in names)


def data_options(given: Namespace) -> DataOptions:
    """What `add_data_options` took."""
    return DataOptions(**given.data.as_dict())


def underscored(word: str) -> str:
    """`--batch-size=8` as `--batch_size=8`."""
    name, equals, value = word.partition("=")
    return name[:2] + name[2:].replace("-", "_") + equals + value if word.startswith("--") else word


def wants_all(words: Sequence[str]) -> bool:
    """Whether the words are `--help all`, and not `--help` alone."""
    return any(word in HELP and following == "all" for word, following in pairwise(words))
