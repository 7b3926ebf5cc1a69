"""jsonargparse with errors of one line. Must not know: what options mean."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise, zip_longest
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from mixnn.config import DataOptions
from mixnn.errors import InputError
from mixnn.utils import csv_files
from mixnn.utils.console import show
from mixnn.utils.csv_files import SAFE
from mixnn.utils.files import read_yaml
from mixnn.utils.registry import refuse_code


@contextmanager
def readable_output() -> Iterator[None]:
    """For results on standard output: whoever reads them may stop early, as `| head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


EMPTY = ("data.unlabeled", "prefix")  # options that may be empty
HELP = ("-h", "--help")
DATA = "a folder or zip with one folder for each class; or csv:FILE, npz:FILE, hf:NAME, demo: … (docs/data.md has all)"

NETWORK = "the run's, where it is code, package.module:factory: a model runs none that you do not name"


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
                show(*(self.format_help().rstrip() if wants_all(words) else self.short_help()).splitlines())
            raise SystemExit(0)
        given = self.parse_args([underscored(word) for word in words])
        for name, value in given.items():
            self._check_given(name, value if isinstance(value, list) else [value])
        csv_files.options[SAFE] = bool(given.get(SAFE))
        return given

    def add_csv_option(self) -> None:
        """For commands that write tables with names in them."""
        about = "an apostrophe before cells that a spreadsheet would run; this program reads them as they were"
        self.add_argument(f"--{SAFE}", action="store_true", help=about)

    def _check_given(self, name: str, values: Sequence[object]) -> None:
        """Raise InputError for what no option takes: nothing, and what is no path or name."""
        option = self._as_typed([name]).replace("_", "-")
        if values == [None] and self.get_default(name) is not None:
            raise InputError(f"{option} is null: give a value, or leave it away")
        if "" in values and name not in EMPTY:
            raise InputError(f"{option} is empty: give a value (options: `{self.prog} --help`)")
        for value in values:
            if isinstance(value, str) and "\0" in value:
                raise InputError(f"{option} is {value!r}: give a value without a zero byte")

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
        skip = all_names - set(all_names if names is None else names)
        self.add_class_arguments(DataOptions, "data", skip=skip, as_group=False)  # a group would import what files name

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
    """What `add_data_options` took.

    Raises:
        InputError: a number is out of range.
    """
    options = DataOptions(**given.data.as_dict())
    options.check()
    return options


def underscored(word: str) -> str:
    """`--batch-size=8` as `--batch_size=8`."""
    name, equals, value = word.partition("=")
    return name[:2] + name[2:].replace("-", "_") + equals + value if word.startswith("--") else word


def wants_all(words: Sequence[str]) -> bool:
    """Whether the words are `--help all`, and not `--help` alone."""
    return any(word in HELP and following == "all" for word, following in pairwise(words))


def config_words(content: Mapping[str, Any], sections: Collection[str]) -> list[str]:
    """The settings of a file as words, for the parser to check; what only YAML has, such as dates, as text.

    Args:
        sections: names with settings below them; one with nothing below it is as if it were not there.

    Raises:
        InputError: there is something else below such a name.
    """
    for name in sections:
        if not isinstance(content.get(name) or {}, Mapping):
            raise InputError(f"--config: {name} is {content[name]!r}: write its settings below it, as `name: value`")
    kept = {key: value for key, value in content.items() if key not in sections or value}
    return ["--config", json.dumps(kept, default=str)]


def with_settings(words: Sequence[str]) -> list[str]:
    """A command's words with those of its --config files before them.

    Raises:
        InputError: a file cannot be read, or names code that no word of the command names as well.
    """
    words = [underscored(word) for word in words]
    settings = []
    for file in values_of(words, "--config"):
        content = read_yaml(file)
        refuse_code(content, file, {name: value_of(words, f"--{name}") for name in ("network", "encoder")})
        settings += config_words(content, ["data"])
    return [*settings, *without_files(words)]


def values_of(words: Sequence[str], option: str) -> list[str]:
    """What stands behind `option`, each time it occurs."""
    values = []
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, attached = word.partition("=")
        if name == option:
            values.append(attached if equals else following)
    return values


def value_of(words: Sequence[str], option: str) -> str | None:
    """What stands behind `option` the last time it occurs."""
    values = values_of(words, option)
    return values[-1] if values else None


def without_files(words: Sequence[str]) -> list[str]:
    """The words without --config, which `config_words` have replaced."""
    kept, skip = [], False
    for word in words:
        if not skip and not word.startswith("--config"):
            kept.append(word)
        skip = word == "--config"
    return kept
