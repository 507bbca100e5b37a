import numpy as np
import pandas as pd
import pytest

from thaw.evaluation import class_choice, class_scores, metrics


def test_the_worst_have_the_lowest_recall_and_the_most_images_of_those():
    recall = np.array([0.5, 0.0, 0.0, 1.0, 0.9])
    images = np.array([2, 3, 7, 9, 9])
    worst, largest = class_choice.worst_and_largest(recall, images, 2)
    assert (worst.tolist(), largest.tolist()) == ([2, 1], [3, 4])
    worst, largest = class_choice.worst_and_largest(recall, images, 4)
    assert (worst.tolist(), largest.tolist()) == ([2, 1, 0, 4], [3])


def tables(classes: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Class 5 has three of four images right, 7 none of three; all others are right."""
    truth = np.concatenate([np.arange(3 * classes) % classes, [5]])
    predicted = truth.copy()
    predicted[truth == 7] = [5, 17, 17]
    predicted[5] = 7
    names = [f"class {label:03}" for label in range(classes)]
    recall = class_scores.by_class(truth, {"fine_tuned": predicted}, names, 0.95)
    return recall, metrics.confusion(truth, predicted, names)


def test_few_classes_are_all_plotted():
    recall, confusion = tables(20)
    found = class_choice.for_plots(recall, confusion)
    assert found["recall"].equals(recall[["class", "images", "fine_tuned"]])
    assert found["confusion"].equals(confusion)


@pytest.mark.parametrize("classes", [21, 1000])
def test_of_many_classes_the_worst_are_plotted_and_what_they_are_taken_for(classes):
    found = class_choice.for_plots(*tables(classes))
    assert found["recall"]["class"].tolist()[:3] == ["class 007", "class 005", "class 000"]
    assert len(found["recall"]) == 20
    confusion = found["confusion"]
    taken_for = {
        label: confusion[confusion["actual"] == label]["predicted"].value_counts().to_dict()
        for label in ("class 005", "class 007")
    }
    assert taken_for == {
        "class 005": {"class 005": 3, class_choice.OTHERS: 1},
        "class 007": {"class 017": 2, "class 005": 1},
    }
    assert confusion["actual"].nunique() == 10
    assert confusion["predicted"].nunique() == 11
