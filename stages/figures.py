"""Draw the run: its images, learning curves and errors, and what the network looks at.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/, data/predictions.csv,
       metrics/evaluate/, models/fine_tuned.weights.h5, models/calibration/, both logs
Writes metrics/figures/*.png, with classes.csv where they number classes
"""

from itertools import chain

from thaw.models.tf_setup import make_deterministic
from thaw.calibration.saved import Calibration
from thaw.data import value_range
from thaw.evaluation.run_result import RunResult
from thaw.features import arrays
from thaw.features.provenance import of_backbone
from thaw.figures import run_figures, style
from thaw.figures.settings import Figures
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import classifier, weights
from thaw.models.registry import facts
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.provenance import check_provenance
from thaw.training import history
from thaw.training.settings import Augmentation


def main() -> None:
    settings = params.load(Figures, "figures")
    spec, head_spec = params.load(Backbone, "backbone"), params.load(Head, "head")
    result = RunResult()
    decoding = value_range.of_set(params.load(Decoding, "images"), result.rows)
    augmentation = params.load(Augmentation, "augmentation")
    found = weights.read_provenance(paths.FINE_TUNED)
    check_provenance(found, of_backbone(spec, decoding), paths.FINE_TUNED, "fine_tune")
    make_deterministic()

    loader = ImageLoader(spec.size, decoding, digests=result.digests)
    pooling = arrays.POOLING if head_spec.pooling == "flatten" else head_spec.pooling
    features = arrays.load(paths.FEATURES, pooling, len(result.rows))
    calibration = Calibration.read(paths.CALIBRATION)
    logs = history.read(paths.HEAD_LOG), history.read(paths.FINE_TUNE_LOG)
    network = classifier.load(spec, head_spec, len(result.classes), paths.FINE_TUNED)
    order = facts(spec.name).channel_order
    figures = chain(
        run_figures.of_training_images(result, loader, augmentation),
        run_figures.of_metrics(result, logs, calibration.unsure),
        run_figures.of_test_images(result, loader, settings.images),
        run_figures.of_network(result, loader, network, settings.layers, order),
        run_figures.of_features(result, features, settings.points),
    )
    with files.replacing(paths.FIGURES) as folder:
        for name, figure in figures:
            style.save(figure, folder / f"{name}.png")
        legend = style.write_legend(folder, result.classes)
    print(f"{paths.FIGURES}/: {len([*paths.FIGURES.glob('*.png')])} figures")
    if legend:
        print(legend)


if __name__ == "__main__":
    run(main)
