"""Whether files were computed with the same settings, so that a stage refuses what does not fit.

DVC keeps this in order by itself. The provenance, a flat dict that lies beside features and in
weights files, is for stages that are run by hand and for files that were copied from elsewhere.
"""

from pathlib import Path

from thaw.project.errors import UserError


def check_provenance(found: dict, expected: dict, path: Path, stage: str) -> None:
    """Raise UserError that names the first fact of `expected` that is another in `found`."""
    for key, value in expected.items():
        if found.get(key) != value:
            raise UserError(
                f"{path} was made with {key} {found.get(key)} and not {value}",
                hint=f"run `dvc repro {stage}`",
            )
