"""What a run would stop at, told before it from what was seen at a glance."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from thaw.data import duplicates, splitting, validation
from thaw.data.settings import Split
from thaw.data.survey import Glance
from thaw.labels.layout import Found
from thaw.project.errors import UserError
from thaw.sources.settings import Data


def foreseen(
    found: list[Found], glances: dict[Path, Glance], invalid: dict[Path, str], root: Path,
    settings: Data, split: Split,
) -> list[str]:  # fmt: skip
    """Return what `download` and `split` would refuse of these images, in their words.

    Near-duplicates are not looked for, and images under two classes only among what was decoded.
    """
    place = {path: path.relative_to(root).as_posix() for path in {*glances, *invalid}}
    label_of = {each.path: each.label for each in found}
    rows = [
        (place[path], label, given, group, glances[path].sha256, glances[path].pixels)
        for path, label, given, group in found if path in glances
    ]  # fmt: skip
    columns = ["path", "label", "given_split", "group", "sha256", "pixel_sha256"]
    manifest = pd.DataFrame(rows, columns=columns)
    manifest["pixel_sha256"] = manifest["pixel_sha256"].where(
        manifest["pixel_sha256"] != "", manifest["sha256"]
    )
    bad = [(place[path], label_of.get(path, ""), reason) for path, reason in invalid.items()]
    quarantine = pd.DataFrame(bad, columns=["path", "label", "reason"])
    manifest, quarantine = validation.part_contradictions(manifest, quarantine)
    said = _said(lambda: validation.refuse(found, manifest, quarantine, settings))
    if len(manifest):
        groups = duplicates.group(manifest, None)
        said += _said(lambda: splitting.assign(manifest, groups, split))
    return said


def _said(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except UserError as error:
        return [str(error).replace(validation.LISTED, "")]
    return []
