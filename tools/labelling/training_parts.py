"""Parts of the training images, drawn at random, and the scores of what was trained on them."""

from collections.abc import Callable, Sequence

import numpy as np

from thaw.project.errors import UserError
from tools.experiments.rows import Rows


def draw(rows: Rows, takes: Sequence[Callable[[int], int]], seed: int) -> list[np.ndarray]:
    """Return training rows (int, ascending) for each of `takes`; each part is in the next one.

    takes: from the number of a class' training images to how many of them a part has, ascending.
    """
    random, of_class = np.random.default_rng(seed), []
    for label in range(len(rows.names)):
        own = np.flatnonzero((rows.split == "train") & (rows.classes == label))
        of_class.append(random.permutation(own))
    return [np.sort(np.concatenate([own[: take(len(own))] for own in of_class])) for take in takes]


def check_draws(draws: int) -> None:
    """Raise UserError for fewer than two draws, which have no spread."""
    if draws < 2:
        raise UserError("--draws should be at least 2, for one draw has no spread")


def written(accuracy: np.ndarray) -> list[str]:
    """Return mean and standard deviation over draws of each part's accuracies (parts, draws)."""
    return [f"{each.mean():.4f} ± {each.std():.4f}" for each in accuracy]
