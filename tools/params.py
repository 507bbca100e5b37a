"""Check every section of params.yaml, before any stage runs.

Reads params.yaml; prints how many keys fit, or the first one that does not.
"""

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    augmenting,
    backbones,
    exporting,
    features,
    fine_tuning,
    heads,
    optimizing,
    params,
    pictures,
    runtime,
    scores,
    sheets,
    sources,
    splitting,
    training,
)
from stages.lib.errors import UserError, run

SCHEMAS = {
    "data": sources.Data,
    "pictures": pictures.Pictures,
    "split": splitting.Split,
    "backbone": backbones.Backbone,
    "augmentation": augmenting.Augmentation,
    "extract": features.Extract,
    "head": heads.Head,
    "loss": optimizing.Loss,
    "train_head": training.Training,
    "fine_tune": fine_tuning.FineTune,
    "evaluate": scores.Evaluate,
    "figures": sheets.Figures,
    "export": exporting.Export,
    "runtime": runtime.Runtime,
}


def check(values: dict) -> int:
    """Return how many keys all params have. Raises UserError for the first that does not fit."""
    unknown = sorted(set(values) - set(SCHEMAS))
    if unknown:
        known = ", ".join(SCHEMAS)
        raise UserError(f"{params.PARAMS} [{unknown[0]}]: unknown section; known are {known}")
    sections = {name: params.check(schema, values, name) for name, schema in SCHEMAS.items()}
    if sections["head"].pooling == "flatten" and not sections["extract"].maps:
        raise UserError(
            f"{params.PARAMS} [head.pooling]: 'flatten' needs whole feature maps; set extract.maps "
            "to true as well"
        )
    exporting.check_installed(sections["export"])
    return sum(len(section.model_dump()) for section in sections.values())


def main() -> None:
    print(f"{params.PARAMS}: all {check(params.read())} keys fit")


if __name__ == "__main__":
    run(main)
