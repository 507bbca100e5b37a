"""What a preset has for texts: CLIP, MetaCLIP 2 and SigLIP, by KerasHub's own code.

The stage backbone keeps it in a folder: a preset of KerasHub, with the tokenizer, whose network for
images has no blocks.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw.models import preset_network
from thaw.models.text_logits import PROVENANCE_FILE, TEMPLATES, WITH_TEXTS, Norm, TextLogits, kept
from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance

if TYPE_CHECKING:
    import keras_hub

FACTS = "metadata.json"  # of KerasHub, has the time of saving
AT_ONCE = 64  # texts
ANEW = "run `dvc repro --force --single-item backbone`"  # its cache may have the same damage


def save(
    whole: "keras_hub.models.Backbone", preprocessor: "keras_hub.models.Preprocessor", folder: Path
) -> None:
    """Write what a preset has for texts into a folder, the same bytes each time."""
    config = json.loads(json.dumps(whole.get_config()))
    config["vision_encoder"]["config"]["num_layers"] = 0
    small = type(whole).from_config(config)
    for variable in small.vision_encoder.variables:
        variable.assign(np.zeros(variable.shape))
    for layer in small.layers:
        if layer is not small.vision_encoder:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
    preprocessor.image_converter = None
    small.save_to_preset(str(folder))
    preprocessor.save_to_preset(str(folder))
    (folder / FACTS).unlink()


def of_classes(
    folder: Path, provenance: dict, names: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> TextLogits:
    """Return what tells how well the text of each class fits images.

    A class is put for the {} of each template, with spaces for underscores; of several templates
    it is the mean of their embeddings (as CLIP does it). `folder`: of the stage backbone.
    `provenance`: of features, whose weights the texts must belong to. Raises UserError when they
    do not, or there is nothing for texts, or KerasHub is missing.
    """
    if not kept(folder):
        raise UserError("the backbone knows no texts", "backbone.name", f"set it to {WITH_TEXTS}")
    hub = preset_network.imported()
    try:
        found = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))
        whole = hub.models.Backbone.from_preset(str(folder), dtype="float32")
        preprocessor = hub.models.CausalLMPreprocessor.from_preset(str(folder))
    except Exception as error:  # KerasHub raises all kinds for what is damaged
        cause = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} is damaged ({cause})", hint=ANEW) from None
    expected = {"weights_sha256": provenance.get("weights_sha256")}
    check_provenance(found, expected, folder, "backbone")
    spoken = [name.replace("_", " ") for name in names]
    of_templates = [
        _embed(whole, preprocessor, [template.replace("{}", each) for each in spoken])
        for template in templates
    ]
    return _logits(whole, _directions(np.mean(of_templates, axis=0)))


def _embed(
    whole: "keras_hub.models.Backbone", preprocessor: "keras_hub.models.Preprocessor",
    texts: list[str],
) -> np.ndarray:  # fmt: skip
    """Return the embeddings of texts, float32 (k, d), each of length 1."""
    tokens = np.asarray(preprocessor({"prompts": texts, "images": None})["token_ids"])
    parts = range(0, len(texts), AT_ONCE)
    found = [whole.get_text_embeddings(tokens[part : part + AT_ONCE]) for part in parts]
    return _directions(np.concatenate([np.asarray(each) for each in found]))


def _directions(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def _logits(whole: "keras_hub.models.Backbone", embeddings: np.ndarray) -> TextLogits:
    """Return how a preset compares embeddings of texts with what its network pools of images."""
    [head] = [layer for layer in whole.layers if hasattr(layer, "logit_scale")]
    norm = getattr(whole, "vision_post_layer_norm", None)
    projection = getattr(whole, "vision_projection", None)
    return TextLogits(
        embeddings,
        norm and Norm(norm.gamma.numpy(), norm.beta.numpy(), norm.epsilon),
        projection and projection.kernel.numpy(),
        float(np.exp(head.logit_scale.numpy())),
        float(np.asarray(getattr(head, "logit_bias", 0.0))),
    )
