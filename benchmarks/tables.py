"""Write the tables of docs/performance.md: `python -m benchmarks.tables`.

A table stands between two marks, <!-- NAME --> and <!-- /NAME -->, and comes from
benchmarks/NAME.json. The line above it has the command, the commit and the processor.
"""

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks import accuracy_tables, speed_tables
from benchmarks.timing import FOLDER
from thaw.project import files
from thaw.project.cli import run
from thaw.project.errors import UserError

PAGE = Path("docs/performance.md")
TABLES: dict[str, Callable[[dict], str]] = {
    "audit": speed_tables.rates,
    "augmented_copies": accuracy_tables.augmented_copies,
    "backbones": accuracy_tables.backbones,
    "calibration": accuracy_tables.calibration,
    "checkpoints": speed_tables.checkpoints,
    "decode": speed_tables.rates,
    "extract": speed_tables.rates,
    "extract_process": speed_tables.rates,
    "fine_tuning_step": speed_tables.fine_tuning_step,
    "forward": speed_tables.rates,
    "growth": speed_tables.by_size,
    "label_next": accuracy_tables.label_next,
    "many_classes": speed_tables.many_classes,
    "predict": speed_tables.rates,
    "quality": accuracy_tables.quality,
    "recipes": accuracy_tables.recipes,
    "rerun": speed_tables.rerun,
    "review": accuracy_tables.review,
    "run": speed_tables.run_seconds,
    "small_files": speed_tables.small_files,
    "sweep": speed_tables.sweep,
    "tutorial": speed_tables.tutorial,
}


def origin(measured: dict) -> str:
    """Say how a table was measured. What its JSON file has as null is not known."""
    facts = [
        f"commit {measured['commit']}" if measured["commit"] else "an earlier commit",
        measured["processor"] or "processor not noted",
    ]
    if measured["cores"]:
        facts.append(f"{measured['cores']} cores")
    if "draws" in measured:
        facts.append(f"{measured['draws']} draws")
    if "rounds" in measured:
        facts.append(f"medians of {measured['rounds']} rounds")
    return f"`{measured['command']}` ({'; '.join(facts)}):"


def block(name: str, folder: Path = FOLDER) -> str:
    """Return what stands between the marks of `name`: where the table is from, and the table."""
    measured = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return f"{origin(measured)}\n\n{TABLES[name](measured)}"


def page(text: str, folder: Path = FOLDER) -> str:
    """Return `text` with all tables written anew. Raises UserError as `replaced` does."""
    return replaced(text, {name: block(name, folder) for name in TABLES}, PAGE)


def replaced(text: str, blocks: dict[str, str], page: Path) -> str:
    """Return `text` with each block between its marks.

    Raises UserError where one does not have its two marks exactly once.
    """
    for name, written in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise UserError(f"{page}: should have <!-- {name} --> and <!-- /{name} --> once")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}{written}\n{end}{after}"
    return text


def main() -> None:
    written = page(PAGE.read_text(encoding="utf-8"))
    with files.replacing(PAGE) as partial:
        partial.write_text(written, encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    run(main)
