"""The real import graph of this project's own files, read from their source."""

import ast
from pathlib import Path

from thaw.project import params

ROOT = Path(__file__).parents[1]


def imported(path: Path, root: Path = ROOT) -> set[Path]:
    """Return the project's files that the file `path` imports, directly or not, and itself."""
    seen, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += direct(file, root)
    return seen


def direct(path: Path, root: Path = ROOT) -> set[Path]:
    """Return the project's files that a file imports itself."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {root / (name.replace(".", "/") + ".py") for name in names}
    return {file for file in files if file.is_file()}


def sections_read(path: Path) -> set[str]:
    """Return the sections that a file loads: the second argument of each params.load.

    Where it reads params.yaml as a whole, for the model card, all that have a part in a classifier.
    """
    sections = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
            sections.add(ast.literal_eval(node.args[1]))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "params.read":
            from thaw.export import model_card

            sections |= set(params.read(ROOT / "params.yaml")) - set(model_card.APART)
    return sections
