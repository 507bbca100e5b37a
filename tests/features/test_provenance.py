import hashlib

from tests.conftest import decoding
from thaw.features import provenance
from thaw.features.settings import Extract
from thaw.models.settings import Backbone

SPEC = Backbone(name="VGG16", weights=None, image_size=64)
DECODING = decoding(background=[0, 0, 9])
SETTINGS = Extract(engine="openvino", precision="float32", feature_maps=False, augmented_copies=3)


def test_what_is_in_it(tmp_path):
    (tmp_path / "x").write_bytes(b"weights")
    network = {"backbone": "VGG16", "image_size": 64, "preprocess": "caffe"}
    assert provenance.of_network(SPEC) == network
    images = {"apply_exif_orientation": True, "background": [0, 0, 9]}
    backbone = network | {"images": images | {"fit": "stretch", "reducing_gap": None}}
    assert provenance.of_backbone(SPEC, DECODING) == backbone
    padded = provenance.of_backbone(SPEC, DECODING.model_copy(update={"fit": "pad"}))
    assert padded["images"] == backbone["images"] | {"fit": "pad"}
    deep = provenance.of_backbone(SPEC, DECODING.model_copy(update={"bits": 12}))
    assert deep["images"] == backbone["images"] | {"bits": 12}
    assert provenance.of_features(SPEC, DECODING, SETTINGS, tmp_path / "x") == backbone | {
        "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
        "engine": "openvino",
        "precision": "float32",
    }
