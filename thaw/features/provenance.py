"""What features depend on besides the images: network, weights, decoding, engine."""

from pathlib import Path

from thaw.features.settings import Extract
from thaw.images.settings import Decoding
from thaw.models import weights as weights_file
from thaw.models.registry import facts, is_preset
from thaw.models.settings import Backbone
from thaw.project import files


def of_network(spec: Backbone) -> dict:
    """Return what params say of the way from pixels to features."""
    preprocess = facts(spec.name).preprocess
    return {"backbone": spec.name, "image_size": spec.size, "preprocess": preprocess}


def of_backbone(spec: Backbone, decoding: Decoding) -> dict:
    """Return what params say of the way from a file to features.

    `decoding`: of the set, where `bits` is auto when it has no effect; then it is left out.
    """
    images = decoding.model_dump()
    if images["bits"] == "auto":
        del images["bits"]
    return of_network(spec) | {"images": images}


def of_features(spec: Backbone, decoding: Decoding, settings: Extract, weights: Path) -> dict:
    """Return all that features depend on; of the backbone's weights file the SHA-256 digest.

    Of a preset also what it is built of, which is needed wherever its weights are.
    """
    of_preset = weights_file.read_provenance(weights) if is_preset(spec.name) else {}
    return of_backbone(spec, decoding) | {
        "weights_sha256": files.sha256(weights),
        "engine": settings.engine,
        "precision": settings.precision,
        **of_preset,
    }
