"""Check all of params.yaml, the Git repository and dvc.lock, before any stage runs.

Prints how many keys fit, or the first one that does not. Of a file of an earlier version it names
the new name of each old key.
"""

import sys
from pathlib import Path

from thaw.calibration.settings import Calibrate
from thaw.data.settings import Split
from thaw.evaluation.settings import Evaluate
from thaw.export.settings import Export, check_installed
from thaw.features.settings import Extract
from thaw.figures.settings import Figures
from thaw.images.settings import Decoding
from thaw.models.registry import NETWORKS
from thaw.models.settings import Backbone, Head
from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from thaw.training.settings import Augmentation, FineTune, Loss, Training
from tools.revisions import dvc_lock

SCHEMAS = {
    "data": Data,
    "images": Decoding,
    "split": Split,
    "backbone": Backbone,
    "augmentation": Augmentation,
    "extract": Extract,
    "head": Head,
    "loss": Loss,
    "train_head": Training,
    "fine_tune": FineTune,
    "calibrate": Calibrate,
    "evaluate": Evaluate,
    "figures": Figures,
    "export": Export,
    "runtime": Runtime,
}


def check(values: dict) -> int:
    """Return how many keys all params have. Raises UserError for the first that does not fit."""
    if old := params.renamed(values):
        raise old[0]
    unknown = sorted(set(values) - set(SCHEMAS), key=str)
    if unknown:
        raise UserError("unknown section", unknown[0], f"known are {', '.join(SCHEMAS)}")
    sections = {name: params.check(schema, values, name) for name, schema in SCHEMAS.items()}
    if sections["head"].pooling == "flatten" and not sections["extract"].feature_maps:
        raise UserError(
            "'flatten' needs whole feature maps", "head.pooling",
            "set extract.feature_maps to true as well",
        )  # fmt: skip
    if sections["head"].pooling == "cls" and sections["backbone"].name in NETWORKS:
        raise UserError(
            f"{sections['backbone'].name} has no class token", "head.pooling",
            "set it to avg, max or flatten",
        )  # fmt: skip
    check_installed(sections["export"])
    return sum(len(section.model_dump()) for section in sections.values())


def check_git(folder: Path) -> None:
    """Raise UserError where neither a folder nor one above it is a Git repository."""
    if not any((each / ".git").exists() for each in (folder, *folder.parents)):
        raise UserError("this is no Git repository, which DVC needs; `git init` makes it one")


def main() -> None:
    values = params.read()
    for error in params.renamed(values)[1:]:
        print(f"error: {one_line(error)}", file=sys.stderr)
    count = check(values)
    check_git(Path.cwd())
    dvc_lock.check_files()
    print(f"{params.PARAMS}: all {count} keys fit")


if __name__ == "__main__":
    run(main)
