"""Names that hold anything: no escape reaches a screen, every table has its rows, no cell is run by a spreadsheet."""

import ast
import csv
from pathlib import Path

import numpy as np
import pytest
from contract.command import call

import mixnn
from mixnn.errors import printable
from mixnn.utils.console import say, show
from mixnn.utils.csv_files import CsvWriter, as_it_was, csv_rows, options, without_formula, write_csv

SRC = Path(mixnn.__file__).parent
HOSTILE = {"red": "\x1b[31mred\x1b]0;owned\x07", "new\nline": "g\rreen\nblue", "sum": "=1+2", "at": "@at\x9b2J"}


def test_one_door_to_the_screen():
    """Nothing but `mixnn.utils.console` prints, and so nothing reaches a screen that is not escaped."""
    found = []
    for file in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "sys.stdout.write", "sys.stderr.write", "csv.writer"):
                found.append(f"{file.relative_to(SRC)}: {ast.unparse(node)[:40]}")
    assert sorted(found) == [
        "cli/main.py: sys.stderr.write('\\x1b[?25h')",
        "utils/console.py: sys.stderr.write(_on_screen(lines, sys.s",
        "utils/console.py: sys.stdout.write(_on_screen(lines, sys.s",
        "utils/csv_files.py: csv.writer(self, delimiter=delimiter, li",
    ]


@pytest.mark.parametrize("speak", [say, show])
def test_lines(speak, capsys):
    speak("a\x1b[1mb\rc\nd", "", "e\udcff\u202ef é")
    said = capsys.readouterr()
    assert said.out + said.err == "a\\x1b[1mb\\rc\\nd\n\ne\\udcff\\u202ef é\n"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings whose classes have such names, in a run of `find` and one of `train`."""
    folder = tmp_path_factory.mktemp("names")
    random, words = np.random.default_rng(0), list(HOSTILE.values())
    labels = np.arange(80) % 4
    x = random.normal(size=(80, 8)) + 6 * np.eye(4, 8)[labels]
    labels[:4] = (labels[:4] + 1) % 4
    np.savez(folder / "data.npz", x=x, y=np.array(words)[labels])
    assert call("find", folder / "data.npz", "--out", folder / "find").code == 0
    assert call("train", folder / "data.npz", "--out", folder / "train", "--network", "mlp", "--epochs", "2").code == 0
    return folder


COMMANDS = {
    "find": "DATA --out OUT",
    "train": "DATA --out OUT --network mlp --epochs 1",
    "check": "DATA",
    "corrupt": "DATA --noise symmetric:0.5 --out OUT/labels.csv",
    "evaluate": "TRAIN DATA",
    "export": "FIND --to numpy --out OUT",
    "report": "FIND --out OUT.html",
    "find --explain": "--out FIND --explain train/00000",
    "evaluate other": "TRAIN OTHER",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_writes_escapes(name, hostile, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros((4, 8)), y=["\x1b[2Jnew", *list(HOSTILE.values())[:3]])
    places = {"DATA": hostile / "data.npz", "OTHER": tmp_path / "other.npz", "FIND": hostile / "find"}
    places |= {"TRAIN": hostile / "train"}
    words = [str(places.get(word, word.replace("OUT", str(tmp_path / "out")))) for word in COMMANDS[name].split()]
    result = call(name.split()[0], *words)
    text = result.err + ("" if name == "evaluate" else result.out)  # whose table goes to no screen here
    assert not [c for c in text if c != "\n" and printable(c) != c], text


def test_tables_are_escaped_on_a_screen(tmp_path):
    class Screen:
        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

    screen = Screen()
    CsvWriter(screen).writerow(["\x1b[31mred", "g\rreen\nblue"])
    assert screen.text == '\\x1b[31mred,"g\\rreen\\nblue"\n'


@pytest.mark.parametrize("file", ["labels.csv", "label_issues.csv"])
def test_lists_have_their_rows(file, hostile):
    """As the csv module and pandas read them, whatever line breaks are in names."""
    path = hostile / "find" / file
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == (80 if file == "labels.csv" else len(rows))
    assert {row["given_label"] for row in rows} <= set(HOSTILE.values())
    assert [row[1] for _, row in csv_rows(path)][1:] == [row["given_label"] for row in rows]
    pandas = pytest.importorskip("pandas")
    for engine in ("c", "python"):
        assert len(pandas.read_csv(path, engine=engine)) == len(rows)


CELLS = ["=1+2", "+a", "-cmd", "@x", "\ttab", "\rcr", "'=1", "''+", "'plain", "plain", "", "-0.5", "+1e-3", "a=b"]
SAFE = [
    "'=1+2",
    "'+a",
    "'-cmd",
    "'@x",
    "'\ttab",
    "'\rcr",
    "''=1",
    "'''+",
    "'plain",
    "plain",
    "",
    "-0.5",
    "+1e-3",
    "a=b",
]


def test_cells_that_a_spreadsheet_would_run(tmp_path, monkeypatch):
    assert [without_formula(cell) for cell in CELLS] == SAFE
    assert [as_it_was(cell) for cell in SAFE] == CELLS
    assert without_formula(-1.5) == -1.5
    write_csv(tmp_path / "plain.csv", ["name", "label"], [[cell, "'=x"] for cell in CELLS])
    monkeypatch.setitem(options, "spreadsheet_safe", True)
    write_csv(tmp_path / "safe.csv", ["name", "label"], [[cell, "'=x"] for cell in CELLS])
    with open(tmp_path / "safe.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["name", "label", "spreadsheet_safe"]
    assert rows[1:] == [[cell, "''=x", "yes"] for cell in SAFE]
    same = [[row for _, row in csv_rows(tmp_path / name)] for name in ("plain.csv", "safe.csv")]
    assert same[0] == same[1]


def test_a_safe_run_goes_on(hostile, tmp_path):
    """What is written with the option is read by every command as it was."""
    run = tmp_path / "run"
    assert call("find", hostile / "data.npz", "--out", run, "--spreadsheet-safe").code == 0
    assert "'=1+2" in (run / "labels.csv").read_text(encoding="utf-8")
    assert call("export", run, "--to", "cleanlab", "--out", tmp_path / "lab").code == 0
    assert "'=1+2" not in (tmp_path / "lab" / "label_issues.csv").read_text(encoding="utf-8")
    labels = tmp_path / "noisy" / "labels.csv"
    words = ["corrupt", hostile / "data.npz", "--noise", "symmetric:0.5", "--out", labels, "--spreadsheet-safe"]
    assert call(*words).code == 0
    assert call("find", hostile / "data.npz", "--out", tmp_path / "b", "--data.labels", labels).code == 0
    assert mixnn.Run(run).classes == sorted(HOSTILE.values())
