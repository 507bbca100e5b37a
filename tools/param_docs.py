"""Write docs/params.md: every key of params.yaml, what it may be, and its comment.

What a key may be comes from the schemas, the comments from params.yaml itself.
"""

import re
from pathlib import Path

from thaw.project import files, paths
from thaw.project.cli import run
from tools.params import SCHEMAS

DOCS = Path("docs/params.md")
TITLE = """# params.yaml, key by key

`python -m tools.param_docs` writes this page from params.yaml and the schemas beside the code; do
not edit it. What a change of a section reruns is in
[internals.md](internals.md#what-a-change-reruns).
"""
BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "< {}",
    "maximum": "at most {}",
}


def comments(text: str) -> dict[str, str]:
    """Return the comment above each key: {"section.key": "..."}, nested keys with more dots."""
    found, above, path = {}, [], []
    for line in text.splitlines():
        key = re.match(r"( *)(\w+):", line)
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            found[".".join(path)] = " ".join(above)
            above = []
        else:
            above = []
    return found


def allowed(schema: dict) -> str:
    """Say in words what a JSON schema of one value allows."""
    if "anyOf" in schema:
        return " or ".join(allowed(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return "keys of their own"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list, each {allowed(schema['items'])}"
    if kind == "object":
        return f"names, each {allowed(schema['additionalProperties'])}"
    if kind == "null":
        return "`null`"
    words = {"boolean": "`true`, `false`", "integer": "whole number", "string": "text"}
    bounds = [form.format(schema[name]) for name, form in BOUNDS.items() if name in schema]
    return " ".join([words.get(kind, kind), ", ".join(bounds)]).strip()


def rows(name: str, schema: dict, said: dict[str, str], sections: dict) -> list[str]:
    """Return the table rows of a section, in the order of params.yaml.

    Those of a section in it follow its key.
    """
    lines, order = [], list(said)
    keys = {f"{name}.{key}": inner for key, inner in schema["properties"].items()}
    for key, inner in sorted(keys.items(), key=lambda item: order.index(item[0])):
        if "$ref" in inner:
            lines.append(f"| `{key}` | | {said[key]} |")
            lines += rows(key, sections[inner["$ref"].rsplit("/", 1)[1]], said, sections)
        else:
            lines.append(f"| `{key}` | {allowed(inner)} | {said[key]} |")
    return lines


def page(text: str) -> str:
    """Return the whole page for the text of a params.yaml."""
    said, parts = comments(text), [TITLE]
    for name, schema in SCHEMAS.items():
        whole = schema.model_json_schema()
        table = rows(name, whole, said, whole.get("$defs", {}))
        head = "| key | may be | |\n| --- | --- | --- |\n"
        parts.append(f"## {name}\n\n{head}" + "\n".join(table) + "\n")
    return "\n".join(parts)


def main() -> None:
    with files.replacing(DOCS) as partial:
        partial.write_text(page(paths.PARAMS.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {DOCS}")


if __name__ == "__main__":
    run(main)
