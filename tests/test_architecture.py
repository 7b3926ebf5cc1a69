"""Who may import whom (DESIGN.md), read from the source files themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mixnn

SRC = Path(mixnn.__file__).parent
MODULES = {
    ".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): file for file in SRC.rglob("*.py")
}
EVERYWHERE = {"errors", "config", "utils"}  # which every room may import
# What else a room may import; of two that fit the longer name counts.
RULES = {
    "errors": "",
    "config": "errors utils.option_values",
    "utils": "errors",
    "presets": "",
    "models": "",
    "distributed": "",
    "tables": "distributed",
    "data": "distributed",
    "runs": "tables",
    "label_quality": "runs tables",
    "evidence": "label_quality models data tables distributed",
    "results": "label_quality runs data tables",
    "shards": "evidence models data tables",  # Ray alone is named there: what a worker does is what one process does
    "methods": "evidence label_quality models data tables distributed",
    "training": "shards methods results evidence label_quality runs models data tables distributed",
    "training.loop": "training.schedule methods.base data distributed",
    "api": "cli training results label_quality runs data",
    "estimator": "api methods evidence label_quality data",
    "cli": "training shards methods presets results evidence label_quality runs models data tables distributed",
}
METHOD = {"methods.base", "methods.losses", "methods.mixing"}  # what a method may know of the others
# These start quickly, and read results where torch is not installed.
QUICK = [
    *("config", "training.memory_estimate", "tables.topk_rows"),
    *("data.read", "data.dataset", "data.numpy_files", "data.feature_files"),
    *("utils.console", "utils.files", "utils.plotting", "utils.processes", "utils.output_paths", "utils.registry"),
    *("data.labels", "data.noise", "data.readers", "data.check", "distributed.shutdown"),
    *("api", "cli", "label_quality", "results", "runs"),
]


def within(name: str, part: str) -> bool:
    """`part` is a module, or a package with all below it."""
    return name == part or name.startswith(f"{part}.")


WITHOUT_TORCH = [name for name in MODULES if any(within(name, part) for part in QUICK)]


def imports(node: ast.AST, *, at_start: bool = False) -> Iterator[str]:
    """Full names of what is imported; `at_start`: only what runs when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where a name comes from"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif at_start and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        elif at_start and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (name for branch in child.orelse for name in imports(branch, at_start=True))
        else:
            yield from imports(child, at_start=at_start)


def our_imports(tree: ast.AST) -> set[str]:
    """Modules of ours, as `data.noise`; `` is the package itself, with all its public names."""
    found = set()
    for name in imports(tree):
        if within(name, "mixnn"):
            name = name.removeprefix("mixnn").removeprefix(".")
            found.add(name if name in MODULES else name.rpartition(".")[0])  # a module, or a name in one
    return found


def torch_at_start(tree: ast.AST) -> list[str]:
    return [name for name in imports(tree, at_start=True) if within(name, "torch")]


def parsed(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def room(name: str) -> str:
    return max((part for part in RULES if within(name, part)), key=len)


def forbidden(name: str, imported: set[str]) -> set[str]:
    """Those of `imported` that a module may not import."""
    own = room(name)
    allowed = {own, *RULES[own].split()} | (set() if own in EVERYWHERE else EVERYWHERE)
    if own == "methods" and name != "methods":  # which lists them all
        parent = {module for module in MODULES if name.startswith(f"{module}_")}  # a subclass is called after it
        allowed = allowed - {"methods"} | METHOD | parent
    return {other for other in imported if not any(within(other, part) for part in allowed)}


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("", "__init__", "__main__")])
def test_who_imports_whom(name):
    assert not forbidden(name, our_imports(parsed(name)))


def test_rules_are_about_rooms_that_exist():
    assert all(any(within(name, part) for name in MODULES) for part in RULES)


def test_a_broken_rule_is_seen():
    assert forbidden("data.load", {"data.read", "utils.files", "runs.directory"}) == {"runs.directory"}
    assert forbidden("methods.ce", {"methods.base", "methods.elr"}) == {"methods.elr"}
    assert forbidden("methods.mixnn_public_code", {"methods.mixnn", "methods.elr"}) == {"methods.elr"}
    assert forbidden("training.loop", {"methods.base", "methods"}) == {"methods"}
    assert forbidden("runs.directory", {""}) == {""}  # the package itself, which has all public names


def test_the_first_level_has_room_for_few():
    first = {name.partition(".")[0] for name in MODULES} - {""}
    assert len(first) <= 20


def test_the_checks_see_what_they_look_for():
    source = """
from typing import TYPE_CHECKING
import torch.nn as nn
from mixnn.data import noise
from mixnn import fit
if TYPE_CHECKING:
    from torch import Tensor
try:
    from torch import special
except ImportError:
    pass
class A:
    import torch
    def late(self):
        import torch.fft
        from mixnn.methods.ce import CrossEntropy
"""
    assert our_imports(ast.parse(source)) == {"data.noise", "", "methods.ce"}
    assert torch_at_start(ast.parse(source)) == ["torch.nn", "torch.special", "torch"]


def loaded_by(*modules: str) -> set[str]:
    """Packages in a fresh interpreter after these imports."""
    code = f"import {', '.join(modules)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_command_line_starts_without_torch():
    loaded = loaded_by("mixnn.cli.main")
    assert "mixnn" in loaded
    assert not loaded & {"torch", "matplotlib", "jsonargparse"}


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_no_torch_at_module_level(name):
    assert torch_at_start(parsed(name)) == []


def test_results_are_read_without_torch():
    assert "torch" not in loaded_by(*(f"mixnn.{name}" for name in WITHOUT_TORCH))


def test_files_are_short():
    for name, file in MODULES.items():
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{name} has {lines} lines"
