"""Join backbone and head, unfreeze the top of the backbone and train on at a low learning rate.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/ (for the parity gate),
       models/backbone.weights.h5, models/head.weights.h5
Writes models/fine_tuned.weights.h5: the joined network
       metrics/fine_tune/: the log, and the best epoch's scores on validation
       metrics/environment.json: the instructions, GPU, versions, threads and devices of this run
"""

import numpy as np
import pandas as pd

from thaw.models.tf_setup import keep_freed_memory, make_deterministic
from thaw.data import manifest, value_range
from thaw.features import arrays, inference, store, trained
from thaw.features.image_source import ImageSource
from thaw.features.parity import check_parity
from thaw.features.provenance import of_backbone
from thaw.features.trained import Specs
from thaw.images.settings import Decoding
from thaw.models import classifier, weights
from thaw.models.classifier import JoinedNetwork
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths, snapshots, software
from thaw.project.cli import run
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime
from thaw.training import (
    checkpoints,
    devices,
    frozen_activations,
    loop,
    losses,
    mixing,
    optimizers,
    unfreezing,
)
from thaw.training.batches import train_and_validation, varied
from thaw.training.frozen_activations import FineTuningImages
from thaw.training.settings import Augmentation, FineTune, Loss

INPUTS = paths.MANIFEST, paths.SPLIT, paths.BACKBONE, paths.HEAD
BYTES = 4  # of a weight
PARITY_ROWS = 32  # validation images that the parity gate looks at
WAYS = "the network and the head on cached features"
OF_ANOTHER = "the features are not of this backbone; run `dvc repro --force extract`"
OF_ACTIVATIONS = (
    "the cached activations do not fit; set fine_tune.activations_dtype to float32, or "
    "fine_tune.cache_activations to never"
)


def main() -> None:
    settings, loss = params.load(FineTune, "fine_tune"), params.load(Loss, "loss")
    decoding, runtime = params.load(Decoding, "images"), params.load(Runtime, "runtime")
    augmentation = params.load(Augmentation, "augmentation")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(decoding, rows)
    names = manifest.classes(rows)
    make_deterministic(settings.seed)
    strategy = devices.strategy(runtime.devices)
    keep_freed_memory()
    specs = params.load(Backbone, "backbone"), params.load(Head, "head")
    network, provenance = load_network(*specs, len(names), decoding)
    first = unfreezing.unfreeze(network.backbone, settings.unfreeze)

    used, images = used_images(rows, decoding, runtime, augmentation)
    split, classes = images.split, manifest.class_indices(rows)[used]
    some = np.flatnonzero(split == "validation")[:PARITY_ROWS]
    features = np.asarray(arrays.load(paths.FEATURES, network.pooling, len(rows))[used[some]])
    check_joined(network, images.source, some, features, provenance)
    print(f"trains from layer {network.backbone.layers[first].name} on")
    with files.scratch(paths.INPUTS) as scratch:
        model, inputs, augmented, augment = frozen_activations.to_train(
            network, first, images, settings, provenance, scratch
        )
        coarse = provenance["precision"], settings.activations_dtype
        got = model(np.asarray(inputs[some], "float32"), training=False)
        check_parity(got, network.head(features), WAYS, OF_ACTIVATIONS, *coarse)
        batches = train_and_validation(inputs, classes, split, settings, augmented)
        weighting = losses.class_weights(loss, classes[split == "train"], names)
        mix = mixing.of_batch(len(names), weighting) if mixing.mixes(augmentation) else None
        batches = varied(batches, settings.seed, augment, mix)
        rates = unfreezing.multipliers(model, network.backbone, settings, len(batches.train))
        objective = losses.build(loss, model.output_shape[-1], mixed=mix is not None)
        sections = settings, loss, decoding, augmentation, specs[1]
        checkpoint = checkpoints.place("fine_tune", INPUTS, sections, devices.count(strategy))
        checkpoint = devices.from_chief(strategy, checkpoint, scratch)
        with devices.on(strategy, model) as copy:
            optimizer = optimizers.build(settings, len(batches.train), rates)
            loop.compile_for_training(copy, optimizer, objective, batches.train, settings)
            weighting = None if mix else weighting  # its weights have this one in them
            best = loop.fit(copy, batches, settings, paths.FINE_TUNE_LOG, weighting, checkpoint)

    write(network, best, provenance, devices.count(strategy))
    of = Specs(*specs, len(names), provenance["engine"])
    keep_converted(of, features.shape[1:], runtime, network)
    files.remove(checkpoint)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


def load_network(
    spec: Backbone, head_spec: Head, classes: int, decoding: Decoding
) -> tuple[JoinedNetwork, dict]:
    """Join backbone and head; return them and the features' provenance.

    Raises UserError when features and head are of another backbone.
    """
    expected = of_backbone(spec, decoding) | {"weights_sha256": files.sha256(paths.BACKBONE)}
    provenance = arrays.read_provenance(paths.FEATURES)
    with snapshots.copied(paths.BACKBONE, expected["weights_sha256"]) as backbone:
        network = classifier.load_parts(spec, head_spec, classes, backbone, paths.HEAD)
    check_provenance(provenance, expected, paths.FEATURES, "extract")
    check_provenance(weights.read_provenance(paths.HEAD), expected, paths.HEAD, "train_head")
    unfreezing.freeze_normalization(network.head)
    return network, provenance


def used_images(
    rows: pd.DataFrame, decoding: Decoding, runtime: Runtime, augmentation: Augmentation
) -> tuple[np.ndarray, FineTuningImages]:
    """Return which rows of the manifest train or validate, int (n,), and their images."""
    split = manifest.read_split(paths.SPLIT, rows)
    used = np.flatnonzero(split.isin(["train", "validation"]))
    images = manifest.image_paths(rows.iloc[used], paths.RAW)
    source = ImageSource(images, rows["sha256"].iloc[used].tolist(), decoding, runtime)
    return used, FineTuningImages(source, split.iloc[used], augmentation)


def check_joined(
    network: JoinedNetwork, source: ImageSource, rows: np.ndarray, features: np.ndarray,
    provenance: dict,
) -> None:  # fmt: skip
    """Hold the joined network on some images against the head on their cached features."""
    loader = source.loader(network.joined.input_shape[1])
    pixels = loader.stack([source.images[row] for row in rows])
    got, expected = network.joined(pixels.astype("float32"), training=False), network.head(features)
    difference = check_parity(got, expected, WAYS, OF_ANOTHER, provenance["precision"])
    print(f"parity {difference:.1e}")


def write(network: JoinedNetwork, best: dict, provenance: dict, count: int) -> None:
    """Write the scores, what they were computed by, and the joined network."""
    scores = {"val_acc": best["accuracy"], "val_loss": best["loss"]}
    files.write_json(paths.FINE_TUNE_LOG / "metrics.json", scores)
    files.write_json(paths.ENVIRONMENT, software.environment(inference.tensorflow_device(), count))
    with files.replacing(paths.FINE_TUNED) as partial:
        weights.save(network.joined, partial, provenance)


def keep_converted(
    of: Specs, shape: tuple[int, ...], runtime: Runtime, network: JoinedNetwork
) -> None:
    """Leave both models in the feature store as OpenVINO runs them, for the stages after this."""
    with store.open_store(runtime) as kept:
        if of.engine == "openvino" and BYTES * network.joined.count_params() < kept.largest:
            trained.head(of, shape, paths.HEAD, kept)
            trained.network(of, paths.FINE_TUNED, kept, network.joined)


if __name__ == "__main__":
    run(main)
