"""Markdown that shows names and values as they are, whatever is in them."""

import re

import pandas as pd

from thaw.project.plain_text import one_line


def plain(text: object) -> str:
    """Return text that Markdown shows as it is, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|~&$#])", r"\\\1", one_line(text))


def code(text: object) -> str:
    """Return text as inline code, where nobody is mentioned and nothing links; not for a cell."""
    text = one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    around = " " if "`" in text else ""
    return f"{fence}{around}{text}{around}{fence}" if text else ""


def code_cell(text: object) -> str:
    """Return text as inline code for a cell of a table, where a `|` would begin another one."""
    return code(text).replace("|", "\\|")


def table(rows: pd.DataFrame) -> str:
    """Return a table as Markdown, with its values as they are."""
    return rows.to_markdown(index=False, disable_numparse=True)
