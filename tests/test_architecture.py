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
BASE = {"data.batch", "data.train_data", "distributed", "errors", "networks", "tables"}  # what a method is made of
EVIDENCE = {"bank", "evidence", "neighbors", "packing", "passes", "rows", "search"}

# Module or package -> what of ours it may import. The first that fits counts.
RULES = {
    "errors": set(),
    "functional": {"errors"},
    "neighbors": {"errors", "neighbors"},
    "search": {"distributed", "neighbors"},
    "launch": set(),
    "distributed": {"errors", "launch"},
    "tables": {"distributed"},
    "lookup": {"errors"},
    "bodies": set(),
    "timm_bodies": {"errors"},
    "weights": {"errors", "timm_bodies"},
    "networks": {"bodies", "errors", "lookup", "timm_bodies", "weights"},
    "rows": set(),
    "footprint": {"rows"},
    "packing": {"rows"},
    "passes": {"data.train_data", "distributed", "networks", "packing", "rows"},
    "bank": {"data.train_data", "distributed", "errors", "networks", "passes", "tables"},
    "run": {"errors", "rows"},
    "lists": {"run"},
    "environment": {"errors"},
    "label_quality": {"errors", "label_quality", "rows"},
    "evidence.targets": {"data.train_data", "distributed", "evidence", "packing", "passes", "rows", "search"},
    "evidence": {"distributed", "errors", "evidence", "label_quality", "neighbors", "rows", "search"},
    "near_duplicates": {"data.batch"},
    "measured": {"evidence", "label_quality", "near_duplicates", "neighbors", "rows"},
    "issues": {"errors", "label_quality", "lists", "rows", "run"},
    "explain": {"errors", "issues", "label_quality", "run"},
    "models_pretrained": {"errors", "networks", "weights"},
    "encoding": {
        "assemble",
        "config",
        "data.train_data",
        "errors",
        "models_pretrained",
        "networks",
        "packing",
        "rows",
        "timm_bodies",
    },
    "results": {"issues", "loading", "report", "run", "screen"},
    "report": {"errors", "issues", "label_quality", "report", "run"},
    "bench": {"bench", "environment", "errors", "issues", "report", "run"},
    "config": {"errors"},
    "corrections": {"data.readers", "errors"},
    "screen": {"errors", "run"},
    "check": {"check", "data.dataset", "data.decode", "data.files", "errors", "report", "run"},
    "data.batch": set(),
    "data.random": set(),
    "data.fast_jpeg": set(),
    "data.decode": {"data.fast_jpeg", "errors"},
    "data.files": {"data.decode"},
    "data.dataset": {"data.files", "errors"},
    "data.prepare": {"data.dataset", "errors"},
    "data.relabel": {"corrections", "data.dataset", "data.label_files", "errors"},
    "data.noise": {"errors"},
    "data.instance_noise": set(),
    "data.numpy_files": {"errors"},
    "data.feature_files": {"data.numpy_files", "errors"},
    "data.label_files": {"data.numpy_files", "errors"},
    "data.thumbnails": {"data.dataset", "data.decode"},
    "data.add_noise": {"data", "errors"},
    "data.crop": set(),
    "data.strong": {"data.crop"},
    "data.colour": {"data.strong"},
    "data.augment": {"data.colour", "data.crop", "data.strong", "errors"},
    "memory": set(),
    "data.stream": {"data.decode", "data.files", "errors", "memory"},
    "data.store": {"data.files", "data.stream", "errors", "run"},
    "data.pixels": {"data.augment", "data.crop", "data.stream", "errors"},
    "data.train_data": {"data.augment", "data.batch", "data.pixels", "data.random", "distributed"},
    "data.readers": {"data.dataset", "data.decode", "data.files", "data.numpy_files", "data.readers", "errors"},
    "places": {"errors"},
    "cleaned": {"cleaned", "corrections", "data", "errors", "issues", "places", "run"},
    "export": {"errors", "export", "lists", "places", "rows", "run"},
    "reading": {"config", "data.dataset", "data.readers", "data.relabel"},
    "loading": {"check", "config", "data", "errors", "run", "screen"},
    "methods.base": BASE,
    "methods.": BASE | EVIDENCE | {"data.augment", "functional", "methods.base"},  # each method; never another one
    "train": BASE | EVIDENCE | {"data.random", "functional", "measured", "methods.base", "run", "train"},
}
# These start quickly, and read results where torch is not installed.
WITHOUT_TORCH = [
    *("cli", "config", "corrections", "footprint"),
    *("explain", "issues", "launch", "reading", "rows", "run", "screen"),
    *("data.add_noise", "data.relabel", "commands.apply", "commands.check", "commands.corrupt", "commands.export"),
    *("commands.find", "data.feature_files"),
    *(
        name
        for name in MODULES
        if name.startswith(
            ("bench", "report", "check", "cleaned", "data.readers", "environment", "export", "label_quality")
        )
    ),
]


def within(name: str, part: str) -> bool:
    """`part` is a module, a package with all below it, or, with a dot at the end, what is below only."""
    return name == part or name.startswith(part if part.endswith(".") else f"{part}.")


def rule_for(name: str) -> set[str] | None:
    return next((allowed for part, allowed in RULES.items() if within(name, part)), None)


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


@pytest.mark.parametrize("name", [name for name in MODULES if rule_for(name) is not None])
def test_who_imports_whom(name):
    allowed = rule_for(name)
    forbidden = {other for other in our_imports(parsed(name)) if not any(within(other, part) for part in allowed)}
    assert not forbidden, f"mixnn.{name} must not import {forbidden}"


def test_rules_are_about_modules_that_exist():
    for part in RULES:
        assert any(within(name, part) for name in MODULES), part


def test_nobody_below_imports_the_commands():
    above = ("cli", "commands", "__main__")
    for name in MODULES:
        if not any(within(name, part) for part in above):
            assert not {other for other in our_imports(parsed(name)) if any(within(other, part) for part in above)}


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


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_no_torch_at_module_level(name):
    assert torch_at_start(parsed(name)) == []


def loaded_by(*modules: str) -> set[str]:
    """Packages in a fresh interpreter after these imports."""
    code = f"import {', '.join(modules)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_command_line_starts_without_torch():
    loaded = loaded_by("mixnn.cli")
    assert "mixnn" in loaded
    assert not loaded & {"torch", "matplotlib", "jsonargparse"}


def test_reports_are_made_without_torch():
    assert "torch" not in loaded_by(*(f"mixnn.{name}" for name in WITHOUT_TORCH))


def test_files_are_short():
    for name, file in MODULES.items():
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{name} has {lines} lines"
