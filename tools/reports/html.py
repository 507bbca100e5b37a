"""Markdown as one HTML page that holds its images and needs no network."""

import base64
import re
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = (
    "body{max-width:70em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
    "img{max-width:100%}code{background:#f3f3f3}"
)


def page(text: str, folder: Path) -> str:
    """Return Markdown as a page with the PNG files below `folder` that it shows inside.

    Its title is the first line. HTML in the text is shown, not obeyed.
    """

    def held(found: re.Match) -> str:
        data = base64.b64encode((folder / found[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = re.sub(r'src="([\w./]+\.png)"', held, body)
    title = escape(text.splitlines()[0].removeprefix("# "))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style>{body}</html>\n"
    )
