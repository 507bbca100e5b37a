"""Read one section of params.yaml and check it against the schema of the code that uses it."""

from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.lib.errors import UserError
from stages.lib.paths import PARAMS


class Section(BaseModel):
    """The base of every schema: all keys required, no other key allowed, no type converted.

    There are no defaults in code: params.yaml is the one place that holds values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnySection = TypeVar("AnySection", bound=Section)


def read(path: Path = PARAMS) -> dict:
    """Return the file as nested dicts, read as YAML 1.2, as DVC does (1e-3 is a number, no a word).

    Raises UserError when the file is missing or is not YAML with sections.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing here; run from the project's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} has no sections; restore it with `git checkout {path}`")
    return values


def load(schema: type[AnySection], section: str, path: Path = PARAMS) -> AnySection:
    """Return `section` of the file as an instance of `schema`.

    Raises UserError that names the first wrong key, its value and what it should be; a misspelt key
    comes before the one that is missing for it.
    """
    return check(schema, read(path), section, path)


def check(schema: type[AnySection], values: dict, section: str, path: Path = PARAMS) -> AnySection:
    """Return `section` of what `read` gave as an instance of `schema`; raises as `load` does."""
    if not isinstance(values.get(section), dict):
        raise UserError(f"{path} [{section}]: this section is missing or has no keys")
    try:
        return schema.model_validate(values[section])
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise UserError(f"{path} {describe(unknown_first[0], section, schema)}") from None


def describe(error: dict, section: str, schema: type[Section]) -> str:
    """Say in one line which key pydantic complains about, and what would be right."""
    *above, key = map(str, error["loc"] or [""])
    for name in above:  # a key of a section in a section is known to that one
        inner = getattr(schema.model_fields.get(name), "annotation", None)
        schema = inner if isinstance(inner, type) and issubclass(inner, Section) else schema
    where = f"[{'.'.join([section, *map(str, error['loc'])])}]"
    if error["type"] == "missing":
        return f"{where}: this key is missing"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(key, schema.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(schema.model_fields)}"
        return f"{where}: unknown key; {hint}"
    wanted = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: {error['input']!r} does not fit: {wanted}"
