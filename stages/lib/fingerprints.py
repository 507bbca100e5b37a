"""What features and models were made with, so that a stage refuses what does not belong together.

DVC keeps this in order by itself; the fingerprint is for stages that are run by hand and for files
that were copied from elsewhere.
"""

from pathlib import Path

from stages.lib import files
from stages.lib.errors import UserError


def with_weights(fingerprint: dict, file: Path) -> dict:
    """Return the fingerprint with the SHA-256 digest of the backbone's weights file."""
    return {**fingerprint, "weights_sha256": files.sha256(file)}


def check(found: dict, expected: dict, path: Path, stage: str) -> None:
    """Raise UserError that names the first fact of `expected` that is another in `found`."""
    for key, value in expected.items():
        if found.get(key) != value:
            raise UserError(
                f"{path} was made with {key} {found.get(key)} and not {value}; run "
                f"`dvc repro {stage}`"
            )
