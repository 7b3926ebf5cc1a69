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
# These start quickly, and read results where torch is not installed.
QUICK = [
    *("config", "training.memory_estimate", "tables.topk_rows"),
    *("data.read", "data.dataset", "data.numpy_files", "data.feature_files"),
    *("utils.console", "utils.files", "utils.plotting", "utils.processes", "utils.output_paths", "utils.registry"),
    *("data.labels", "data.noise", "data.readers", "data.check", "distributed.shutdown"),
    *("cli", "label_quality", "results", "runs"),
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
