import numpy as np
import pytest

from thaw.figures import image_grid, style


def texts(figure) -> list[str]:
    """Return the title and the texts over the images, without the empty ones."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def shown(figure) -> list[tuple]:
    """Return where the images lie: (left, right, bottom, top) in pixels from the upper left."""
    return [tuple(image.get_extent()) for image in figure.axes[0].images]


def ends(figure) -> list[float]:
    """Return the right ends of the texts in pixels; that of the figure comes first."""
    figure.set_dpi(style.INCH)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    return [figure.bbox.width, *(box.x1 for box in boxes)]


def test_grid_leaves_free_places_free_and_no_two_images_overlap():
    cell = image_grid.Cell(np.zeros((7, 5, 3), "uint8"), "name")
    figure = image_grid.grid([cell, None, cell, cell], 3, "a title")
    places = shown(figure)
    side = 1080 // 3 - image_grid.GAP
    assert [right - left for left, right, _, _ in places] == [side] * 3
    assert [left for left, *_ in places] == [10, 10 + 2 * (side + 10), 10]
    assert places[2][3] > places[0][2]  # the second row begins below the first one's end
    width, height = figure.get_size_inches() * style.INCH
    assert max(right for _, right, _, _ in places) <= width
    assert max(bottom for _, _, bottom, _ in places) <= height


def test_grid_without_images_is_its_title():
    figure = image_grid.grid([], 6, "nothing " * 20)
    assert texts(figure)[0].count("\n") == 2  # in lines, not cut
    assert max(ends(figure)) == ends(figure)[0]
    assert shown(figure) == []


def test_misclassified_images_are_named_in_another_colour():
    pixels = np.zeros((9, 7, 5, 3), "uint8")
    truth, predicted = np.arange(9) % 3, np.arange(9) % 3
    predicted[4] = 0
    names = ["cat", "a very long name of a class", "dog"]
    figure = image_grid.predictions(pixels, truth, predicted, names, "nine")
    assert texts(figure)[:4] == ["nine", "cat", "a very l… a class", "dog"]
    wrong = figure.axes[0].texts[5]
    assert wrong.get_text() == "a very l… a class\n→ cat"
    assert wrong.get_color() == style.ORANGE != figure.axes[0].texts[4].get_color()


def test_samples_are_spread_over_each_class():
    truth = np.repeat([0, 1, 2], [21, 3, 1])
    rows = image_grid.sample_rows(truth, 4)
    assert rows[0].tolist() == list(range(0, 21, 2))
    assert [len(each) for each in rows.values()] == [11, 3, 1, 0]
    assert rows[1].tolist() == [21, 22, 23]


def test_of_many_classes_samples_show_the_largest():
    truth = np.concatenate([np.arange(33), np.arange(12, 33)])
    assert list(image_grid.sample_rows(truth, 33)) == list(range(12, 32))


@pytest.mark.parametrize(("classes", "said"), [(2, " 2 "), (7, " 7 "), (41, " 20 largest of 41 ")])
def test_samples_say_which_and_how_many(classes, said):
    truth = np.sort(np.arange(3 * classes) % classes)
    rows = image_grid.sample_rows(truth, classes)
    names = [f"{label} W{'W' * 190}" for label in range(classes)]
    pixels = {label: np.zeros((len(some), 5, 5, 3), "uint8") for label, some in rows.items()}
    figure = image_grid.samples(pixels, truth, names)
    title, *labels = texts(figure)
    assert said in title
    assert [label.split()[0] for label in labels] == [str(n) for n in range(min(classes, 20))]
    assert all(label.endswith("W (3)") and "…" in label for label in labels)
    assert max(ends(figure)) == ends(figure)[0]
    if classes > 2:  # and none reaches into the next one's images
        boxes = [text.get_window_extent() for text in figure.axes[0].texts[1:] if text.get_text()]
        assert all(box.x1 < 1080 * 6 / 11 for box in boxes[::2])
    lefts = sorted({left for left, *_ in shown(figure)})
    assert len(lefts) == (3 if classes == 2 else 6)
    assert len(shown(figure)) == 3 * min(classes, 20)


def test_augmentation_says_what_is_active():
    image = np.zeros((9, 9, 3), "uint8")
    settings = {
        "flip": "none",
        "rotation": 0.03,
        "translation": 0.0,
        "brightness": 0.2,
        "fill_mode": "wrap",
    }
    figure = image_grid.augmented(image, [image] * 9, settings)
    title = " ".join(texts(figure)[0].split("\n"))
    assert title.endswith("rotation 0.03, brightness 0.2; fill_mode wrap")
    assert len(shown(figure)) == 10
    figure = image_grid.augmented(image, [], settings | {"rotation": 0.0, "brightness": 0.0})
    assert texts(figure) == ["A training image; params.yaml [augmentation] changes nothing"]
    assert len(shown(figure)) == 1
