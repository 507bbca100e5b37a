"""Say which class images are of by its name alone, without training: `python -m tools.zero_shot
PATH... [--classes cat,dog] [--template "a photo of a {}"]`.

It takes a backbone that knows texts: a preset of CLIP, MetaCLIP 2 or SigLIP. `dvc repro backbone`
has to have run. A PATH is what `tools.predict` takes, and the answers are as there. Each class is
put for the {} of the template; with several --template they are averaged. Without --classes these
are the classes of the last run. Where images lie in folders of their classes, prints the accuracy
on standard error.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import softmax

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.data import manifest, value_range
from thaw.evaluation import metrics
from thaw.evaluation.settings import Evaluate
from thaw.export.formats import OUTPUT
from thaw.features import frozen_backbone, provenance
from thaw.features.settings import Extract
from thaw.features.store import open_store
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import texts
from thaw.models.settings import Backbone
from thaw.models.text_logits import POOLING, TEMPLATES
from thaw.project import params, paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools import predict
from tools.revisions import dvc_lock
from tools.serving import batch_predict
from tools.serving.batch_predict import Prediction
from tools.serving.predictor import Predictor, Probabilities
from tools.serving.rows import Notes

HINT = "run `dvc repro backbone`"


def _classes(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} names no two classes or more, such as cat,dog")
    return names


def _template(text: str) -> str:
    if "{}" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no {{}} for the class")
    return text


def load(classes: list[str] | None, templates: list[str]) -> Predictor:
    """Return what tells classes by their texts; None for those of the last run.

    Raises UserError when the backbone is missing, is another one than params.yaml names, or knows
    no texts, and when there was no run.
    """
    if not paths.BACKBONE.is_file():
        raise UserError(f"{paths.BACKBONE} is missing", hint=HINT)
    dvc_lock.check(str(paths.BACKBONE), dvc_lock.read(), params.read(), "backbone", HINT)
    spec, decoding = params.load(Backbone, "backbone"), params.load(Decoding, "images")
    if classes is None or paths.MANIFEST.is_file():
        rows = manifest.read(paths.MANIFEST)
        decoding = value_range.of_set(decoding, rows)
        classes = classes or manifest.classes(rows)
    settings = params.load(Extract, "extract").model_copy(update={"precision": "float32"})
    of_features = provenance.of_features(spec, decoding, settings, paths.BACKBONE)
    logits = texts.of_classes(paths.TEXTS, of_features, classes, templates)
    with open_store(params.load(Runtime, "runtime")) as store:
        network = frozen_backbone.of_backbone(spec, settings, paths.BACKBONE, of_features, store)
    pooled = network.ready()

    def forward(batches: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        for outputs in pooled(batches):
            yield {OUTPUT: softmax(logits(outputs[POOLING]), axis=1)}

    loader = ImageLoader(network.size, decoding)
    return Predictor("zero_shot", classes, loader, Probabilities(forward), None)


def scored(
    found: Iterable[Prediction], names: list[str], right: list[bool]
) -> Iterator[Prediction]:
    """Yield predictions; note in `right` of each image in a folder of a class whether it is that.

    Of several such folders the innermost counts.
    """
    for prediction in found:
        above = reversed(Path(prediction.place).parts[:-1])
        label = next((each for each in above if each in names), None)
        if label and prediction.probabilities is not None:
            right.append(names[prediction.probabilities.argmax()] == label)
        yield prediction


def accuracy(right: list[bool]) -> str:
    confidence = params.load(Evaluate, "evaluate").confidence
    low, high = metrics.wilson(sum(right), len(right), confidence)
    return (
        f"accuracy {np.mean(right):.4f} ({low:.4f} to {high:.4f}) on {len(right)} images in "
        "folders of their classes"
    )


def main() -> None:
    parser = predict.arguments(__doc__)
    parser.add_argument("--classes", type=_classes, metavar="A,B,...", help="to choose from")
    parser.add_argument("--template", type=_template, action="append", metavar="TEXT")
    options = parser.parse_args()
    places = predict.named(options.paths)
    with dvc_lock.of_one_run():
        predictor = load(options.classes, options.template or [*TEMPLATES])
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    right: list[bool] = []
    found = batch_predict.predictions(predictor, places, data, runtime)
    found = scored(found, predictor.labels, right)
    notes = Notes(predictor.labels)
    invalid = predict.write(found, places, notes, options.format, options.top)
    if right:
        print(accuracy(right), file=sys.stderr)
    predict.refuse_invalid(invalid, places)


if __name__ == "__main__":
    run(main)
