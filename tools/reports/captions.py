"""What the figures of a run are called, and a sentence about each."""

from pathlib import Path

import pandas as pd

from thaw.export import markdown
from thaw.project import paths

TITLES = {"roc": "ROC", "gradcam": "Grad-CAM", "feature_plane": "Features on a plane"}
CAPTIONS = {  # of each figure, in the order in which they are shown
    paths.FIGURES / "learning_curves.png": "Loss and accuracy by epoch, of the head and then of "
    "fine-tuning. Where validation rises while training falls, the network learns by heart.",
    paths.FIGURES / "confusion_matrix.png": "Test images by actual and predicted class; the "
    "darker, the larger the fraction of its row. Of many classes, the worst and what they are "
    "taken for.",
    paths.FIGURES / "roc.png": "How many images of a class are found, by how many others are "
    "taken for it, at every threshold.",
    paths.FIGURES / "reliability.png": "How often the network is right where it is so sure. Points "
    "below the line: it is too sure of itself.",
    paths.FIGURES / "risk_coverage.png": "How often the network is wrong where only the surest "
    "images are answered, and the others left to a person.",
    paths.FIGURES
    / "slices.png": "Accuracy on parts of the test images: orange ones are worse than "
    "the rest, with regard to how many were looked at.",
    paths.FIGURES / "misclassified.png": "Wrong labels are often found among these.",
    paths.FIGURES / "least_certain.png": "Right, but nearly not.",
    paths.FIGURES / "gradcam.png": "Where the network looks: yellow speaks most for the class.",
    paths.FIGURES / "images.png": "The first test images of each class, as predicted.",
    paths.FIGURES / "feature_plane.png": "Before any training: where classes lie apart already, a "
    "head is enough.",
    paths.FIGURES / "samples.png": "Training images, with the number of each class.",
    paths.FIGURES / "augmentation.png": "Augmented copies, which should still be of the same "
    "class.",
    paths.FIGURES / "feature_maps.png": "What each layer passes on of one image; by default the "
    "last layer of each size.",
    paths.FIGURES / "kernels.png": "Edges and colours that the first layer looks for.",
    paths.SPLIT_FIGURES / "counts.png": "Images by class and split.",
    paths.DOWNLOAD_REPORT / "sizes.png": "Sizes of the images; the larger a dot, the more.",
    paths.DOWNLOAD_REPORT / "quarantine.png": "Files that were found and not used.",
}


def legend(numbered: pd.DataFrame) -> str:
    """Return a table of what `style.numbered` gave, with what it is for."""
    table = numbered.assign(**{"class": numbered["class"].map(markdown.code_cell)})
    return (
        "Class names with letters that no font here has are numbers in the figures (`make fonts` "
        f"installs fonts):\n\n{markdown.table(table)}"
    )


def title(path: Path) -> str:
    return TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
