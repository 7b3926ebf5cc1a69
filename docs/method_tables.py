"""Write the tables of docs/methods/README.md from the classes of the methods: `python docs/method_tables.py`."""

from __future__ import annotations

import inspect
from pathlib import Path

from mixnn import METHODS, Method

PAGE = Path(__file__).resolve().parent / "methods/README.md"
HEAD = "| method | idea | networks | extra passes an epoch | cost of an epoch | needs the noise rate | paper |"


def overview() -> str:
    """What each method is, the default first."""
    rows = [HEAD, "|---|---|---|---|---|---|---|"]
    for name in sorted(METHODS, key=lambda name: (name != "posterior", name)):
        kind = METHODS[name]
        idea = (inspect.getdoc(kind) or "").splitlines()[0].rstrip(".")
        cost = kind.cost_by_phase or f"{kind.cost:g}"
        cells = f"{idea} | {kind.network_count} | {kind.extra_passes} | {cost} | {kind.needs_noise_rate} | {kind.paper}"
        rows.append(f"| [`{name}`]({name}.md) | {cells} |")
    return "\n".join(rows) + "\n"


def verified() -> str:
    """How each method treats verified labels; those alike share a row, the usual way last."""
    alike: dict[str, list[str]] = {}
    for name, kind in METHODS.items():
        alike.setdefault(kind.verified_labels, []).append(f"`{name}`")
    usual = {Method.verified_labels: alike.pop(Method.verified_labels, [])}
    rows = [f"| {', '.join(names)} | {what} |" for what, names in (alike | usual).items() if names]
    return "\n".join(["| method | with a verified label |", "|---|---|", *rows]) + "\n"


def rendered(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in {"overview": overview(), "verified": verified()}.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        text = before + mark + table + rest[rest.index("<!-- end -->") :]
    return text


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
