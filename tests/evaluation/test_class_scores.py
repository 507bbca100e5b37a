import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from thaw.evaluation import class_scores


def test_recall_has_an_interval():
    truth = np.array([2, 0, 0, 2, 1])
    predicted = {"head": np.array([2, 0, 1, 0, 1]), "fine_tuned": np.array([2, 0, 0, 2, 0])}
    table = class_scores.by_class(truth, predicted, ["a", "b", "c"], 0.95)
    assert table[["class", "images", *predicted]].to_dict("list") == {
        "class": ["a", "b", "c"],
        "images": [2, 1, 2],
        "head": [0.5, 1.0, 0.5],
        "fine_tuned": [1.0, 0.0, 1.0],
    }
    both = table[["head_low", "head_high"]].to_numpy().tolist()
    assert both == [[0.0945, 0.9055], [0.2065, 1.0], [0.0945, 0.9055]]  # 1 of 2, 1 of 1, 1 of 2


@pytest.mark.parametrize("classes", [2, 3, 61])
def test_precision_and_f1_are_those_of_scikit_learn(classes):
    random = np.random.default_rng(classes)
    truth = np.arange(337) % classes
    predicted = np.where(random.random(337) < 0.7, truth, random.integers(0, classes, 337))
    predicted[predicted == 1] = 0  # a class that none is taken for
    names = [f"class {label}" for label in range(classes)]
    table = class_scores.by_class(truth, {"head": predicted}, names, 0.95)
    precision, recall, f1, images = precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=0
    )
    assert table["head_precision"].to_numpy() == pytest.approx(precision, abs=1e-4)
    assert table["head"].to_numpy() == pytest.approx(recall, abs=1e-4)
    assert table["head_f1"].to_numpy() == pytest.approx(f1, abs=1e-4)
    assert table["images"].tolist() == images.tolist()
    assert (table["head_precision"][1], table["head_f1"][1]) == (0, 0)
