"""Read one section of params.yaml and check it against the schema of the code that uses it."""

import copy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from typing import Annotated, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from ruamel.yaml import YAML

from thaw.project.errors import UserError
from thaw.project.paths import PARAMS

MOST_BYTES = 5_000_000  # of a file of settings; dvc.lock has some 30,000
MOST_VALUES = 100_000  # in it, each alias counted as what it stands for
RESTORE = "restore it with `git checkout {}`"
SHORT = Repr()  # of values in messages
SHORT.maxstring = SHORT.maxother = 100
# Keys that had another name in an earlier version, with the new one.
RENAMED = {
    "pictures": "images",
    "pictures.upright": "images.apply_exif_orientation",
    "data.groups": "data.labels",
    "data.on_bad": "data.on_invalid",
    "data.max_bad": "data.max_invalid",
    "augmentation.shift": "augmentation.translation",
    "augmentation.fill": "augmentation.fill_mode",
    "extract.maps": "extract.feature_maps",
    "extract.views": "extract.augmented_copies",
    "head.penalty": "head.regularization",
    "train_head.clip_norm": "train_head.global_clipnorm",
    "fine_tune.clip_norm": "fine_tune.global_clipnorm",
    "fine_tune.block_decay": "fine_tune.layer_decay",
    "fine_tune.cache_trunk": "fine_tune.cache_activations",
    "fine_tune.trunk_views": "fine_tune.augmented_copies",
    "fine_tune.trunk_dtype": "fine_tune.activations_dtype",
    "fine_tune.trunk_gigabytes": "fine_tune.activations_gigabytes",
    "figures.pictures": "figures.images",
}

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]  # SHA-256


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
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} has over {MOST_BYTES:,} bytes; {RESTORE.format(path)}")
        values = copy.deepcopy(_parsed(path, path.read_bytes()))
    except FileNotFoundError:
        raise UserError(f"{path} is missing here; run from the project's root") from None
    except (OSError, UserError):
        raise
    except RecursionError:
        raise UserError(f"{path} is nested too deeply; {RESTORE.format(path)}") from None
    except Exception as error:  # ruamel.yaml raises all kinds, for numbers and dates its own
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} has no sections; {RESTORE.format(path)}")
    _check_bounds(values, path)
    return values


@lru_cache(maxsize=4)  # a stage reads up to nine sections, and each parse takes 50 ms
def _parsed(path: Path, _content: bytes) -> object:
    return YAML(typ="safe", pure=True).load(path)


def _check_bounds(values: dict, path: Path) -> None:
    """Raise UserError for whole numbers that nothing takes, and aliases that unfold without end.

    A few lines of aliases stand for more values than any memory has.
    """
    waiting, count = [values], 0
    while waiting:
        each, count = waiting.pop(), count + 1
        if count > MOST_VALUES:
            raise UserError(f"{path} has over {MOST_VALUES:,} values; write them without aliases")
        if isinstance(each, int) and abs(each) >= 1 << 63:
            raise UserError(f"{path} has a whole number of over 64 bits; {RESTORE.format(path)}")
        if isinstance(each, dict | list | tuple | set):
            waiting += [*each, *each.values()] if isinstance(each, dict) else each


def renamed(values: dict) -> list[UserError]:
    """Return an error for each key that had another name in an earlier version, in file order."""
    keys = []
    for section, inner in values.items():
        keys.append(section)
        keys += [f"{section}.{key}" for key in inner] if isinstance(inner, dict) else []
    return [
        UserError("this key has another name now", key, f"call it {RENAMED[key]}")
        for key in keys
        if key in RENAMED
    ]


def load(schema: type[AnySection], section: str, path: Path = PARAMS) -> AnySection:
    """Return `section` of the file as an instance of `schema`.

    Raises UserError that names the first wrong key, its value and what it should be; a misspelt key
    comes before the one that is missing for it.
    """
    return check(schema, read(path), section, path)


def check(schema: type[AnySection], values: dict, section: str, path: Path = PARAMS) -> AnySection:
    """Return `section` of what `read` gave as an instance of `schema`; raises as `load` does."""
    old = [error for error in renamed(values) if RENAMED[error.key].split(".")[0] == section]
    if old and path == PARAMS:
        raise old[0]
    if not isinstance(values.get(section), dict):
        raise UserError("this section is missing or has no keys", section, file=str(path))
    try:
        return schema.model_validate(values[section])
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise _user_error(unknown_first[0], section, schema, path) from None


def _user_error(error: dict, section: str, schema: type[Section], path: Path) -> UserError:
    """Say which key pydantic complains about, and what would be right."""
    *above, key = map(str, error["loc"] or [""])
    for name in above:  # a key of a section in a section is known to that one
        inner = getattr(schema.model_fields.get(name), "annotation", None)
        for each in (inner, *get_args(inner)):  # or null
            schema = each if isinstance(each, type) and issubclass(each, Section) else schema
    hint = None
    if error["type"] == "missing":
        problem = "this key is missing"
    elif error["type"] == "extra_forbidden":
        near = get_close_matches(key, schema.model_fields, n=1)
        problem = "unknown key"
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(schema.model_fields)}"
    else:
        wanted = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
        problem = f"{SHORT.repr(error['input'])} does not fit: {wanted}"
    return UserError(problem, ".".join([section, *map(str, error["loc"])]), hint, str(path))
