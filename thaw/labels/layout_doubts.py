"""What is said of a source whose layout is in doubt: what was seen, and the templates that do."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NoReturn

from thaw.labels.folder_tree import Node, literal, merged, names_of
from thaw.labels.split_words import split_of
from thaw.project.errors import UserError
from thaw.project.plain_text import visible

KEY = "data.layout"  # of params.yaml
FORMULA = "=+-@"  # how a cell begins that spreadsheets compute; tabs and the like are refused


def refuse(
    problem: str, ways: list[tuple[str, str]], tables: Iterable[PurePosixPath] = ()
) -> NoReturn:
    said = [f'"{template}" {what}' for template, what in ways]
    hint = f"set this to {', or '.join(said)}" if said else ""
    table = next(iter(tables), None)
    if table:
        hint += f"{'; or ' if hint else ''}name the table of labels in data.labels ({table}?)"
    elif not hint:
        hint = (
            "put the images of each class into a folder, or name a table of labels in data.labels"
        )
    raise UserError(problem, KEY, hint)


def refuse_flat(node: Node, prefix: str, tables: list[PurePosixPath]) -> NoReturn:
    """Refuse a source whose images lie in no class folders."""
    if not node.folders:
        where = f"{node.direct} images lie in {prefix or 'the source'} itself"
    else:
        where = f"the images lie in {names_of(node.folders)}"
    refuse(f"there are no class folders: {where}", by_name(node, prefix), tables)


def refuse_one(node: Node, prefix: str) -> NoReturn:
    (name, child), = node.folders.items()  # fmt: skip
    ways = [(f"{prefix}{literal(name)}/{{label}}/*", f"for the classes {names_of(child.folders)}")]
    refuse(f"1 class folder found ({name}), at least 2 are needed", ways)


def check_names(labels: Iterable[str]) -> None:
    """Raise UserError for two classes whose names a disk, or a reader, may take for one.

    So for a class whose name is no plain text, as it would steer a terminal wherever it is shown.
    """
    seen = {}
    for label in sorted(labels):
        if visible(label) != label:
            raise UserError(
                f"class '{visible(label)}' has control characters in its name", "data.source",
                "rename it",
            )  # fmt: skip
        folded = unicodedata.normalize("NFKC", label).casefold()
        other = seen.setdefault(" ".join(folded.split()), label)
        if other != label:
            raise UserError(
                f"classes {other!r} and {label!r} differ only in case, in spaces or in how their "
                "letters are encoded", "data.source", "rename or join them",
            )  # fmt: skip


def of_formulas(names: Iterable[str]) -> list[str]:
    """Say which names a spreadsheet would compute when it opens the tables of a run.

    Quotation marks do not keep it from that, and with an apostrophe before it a name would be
    another one to all that read these tables. So the names stay as they are, and are named.
    """
    formulas = [name for name in names if name[0] in FORMULA and not _is_number(name)]
    if not formulas:
        return []
    verb = "begins as a formula does" if len(formulas) == 1 else "begin as formulas do"
    return [
        f"{names_of(map(repr, formulas))} {verb}, which a spreadsheet may compute when "
        "it opens a table of the run; rename, or import such tables as text"
    ]


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?", name) is not None


def refuse_two_levels(node: Node, above: str, inner: Counter) -> NoReturn:
    tops = list(node.folders)
    share = [name for name, count in inner.items() if count > 1]
    how = "hold the same folders" if len(share) == len(inner) else "hold folders"
    first = max(node.folders, key=lambda name: len(node.folders[name].folders))
    if share and _same_images(node, share[0]):
        template, word = f"{above}{literal(first)}/{{label}}/*", f", of {first} alone"
    elif share:
        template, word = f"{above}{{group}}/{{label}}/*", ", one group in each of the others"
    else:
        template, word = f"{above}*/{{label}}/*", ""
    refuse(
        f"which level names the classes? {names_of(tops)} {how} ({names_of(inner)})",
        [(template, f"for the classes {names_of(inner)}{word}"),
         (f"{above}{{label}}/*", f"for the classes {names_of(tops)}")],
    )  # fmt: skip


def by_name(node: Node, prefix: str) -> list[tuple[str, str]]:
    """Return the template by which names of images tell their class, as cat.0.jpg does."""
    if not node.folders:
        return _by_these(node.names, prefix)
    whole, first = merged(node.folders.values()).names, next(iter(node.folders))
    train = next((name for name in node.folders if split_of(name) == "train"), first)
    splits = len(node.folders) > 1 and all(map(split_of, node.folders))
    ways = _by_these(whole, f"{prefix}{{split}}/") if splits else []
    return ways or _by_these(node.folders[train].names, f"{prefix}{literal(train)}/")


def _by_these(names: list[str], prefix: str) -> list[tuple[str, str]]:
    for sign in "._-":
        stems = Counter(name.rsplit(".", 1)[0].rsplit(sign, 1)[0] for name in names
                        if sign in name.rsplit(".", 1)[0])  # fmt: skip
        if sum(stems.values()) == len(names) and 2 <= len(stems) <= len(names) / 2:
            rest = ".*.*" if sign == "." else f"{sign}*"  # {label} takes as much as it can
            return [(f"{prefix}{{label}}{rest}", f"for the classes {names_of(stems)}")]
    return []


def holding(node: Node, name: str) -> list[str]:
    return [top for top, child in node.folders.items() if name in child.folders]


def _same_images(node: Node, label: str) -> bool:
    """Whether two folders hold images of the same names, as variants of one image have them."""
    one, two, *_ = (set(node.folders[top].folders[label].names) for top in holding(node, label))
    return len(one & two) * 2 > min(len(one), len(two))
