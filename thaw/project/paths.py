"""Where each stage leaves its outputs, relative to the project's root, in pipeline order."""

from pathlib import Path

PARAMS = Path("params.yaml")

DOWNLOADS = Path("data/partial-download")  # until download has ended well
UNPACKED = Path("data/partial-unpacked")  # while download runs
RAW = Path("data/raw")
MANIFEST = Path("data/manifest.csv")
QUARANTINE = Path("data/quarantine.csv")
CORRECTED = Path("data/corrected.csv")
COLUMNS = Path("data/columns.csv")
DOWNLOAD_REPORT = Path("metrics/download")
SPLIT = Path("data/split.csv")
SPLIT_REPORT = Path("metrics/split.json")
SPLIT_FIGURES = Path("metrics/split")
WEIGHTS = Path("models/partial-weights")  # while backbone runs
BACKBONE = Path("models/backbone.weights.h5")
TEXTS = Path("models/texts")
FEATURES = Path("data/features")
AUGMENTED_COPIES = Path("data/augmented_copies")
INPUTS = Path("data/partial-inputs")  # while fine_tune runs
HEAD = Path("models/head.weights.h5")
HEAD_LOG = Path("metrics/train_head")
FINE_TUNED = Path("models/fine_tuned.weights.h5")
FINE_TUNE_LOG = Path("metrics/fine_tune")
ENVIRONMENT = Path("metrics/environment.json")
CALIBRATION = Path("models/calibration")
SCORES = Path("metrics/scores.json")
TEST = Path("metrics/test.json")
EVALUATION = Path("metrics/evaluate")
FIGURES = Path("metrics/figures")
PREDICTIONS = Path("data/predictions.csv")
EXPORT = Path("models/export")
EXPORT_REPORT = Path("metrics/export.json")
