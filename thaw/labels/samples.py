"""Take labels of images from the files beside them, as shards have them: 0017.jpg and 0017.cls."""

from collections import defaultdict
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath

from thaw.labels import layout, layout_doubts, sample_labels
from thaw.labels.layout import Found, Listing
from thaw.labels.sample_labels import Label
from thaw.labels.split_words import split_of
from thaw.project.errors import UserError
from thaw.sources import listing
from thaw.sources.settings import Labels
from thaw.sources.shards import LABELS, key_of

KEY = sample_labels.KEY
FEW = 8  # images up to which each may have a class of its own
LOOK = 1000  # JSON files in which a label is sought
TWO_IMAGES = "two images with one label in its shard"
Place = PurePosixPath


def find(folder: Path, settings: Labels | None, template: str) -> Listing:
    """List the images of unpacked shards, with the labels of their samples.

    Labels are those in .cls, where there are none those in .json, else in .txt. With auto a split
    is told by the words in the names of shards and their folders; a template says which images to
    look at, and what else their paths tell. An image without one label is in `unlabelled`. What a
    file of a sample is, its ending says.

    Raises UserError where texts are no labels, JSON has several, or only some shards name a split.
    """
    if "{label}" in template:
        return _by_names(layout.find(folder, template))
    fitting = layout.fitting(folder, template)
    images = {place: path for place, path in fitting.items() if _is_image(place)}
    beside = _beside(folder)
    keys, others = _keys(images, beside)
    kind = _kind(keys, beside, settings and settings.label)
    labels = _labels(keys, beside, kind, settings and settings.label)
    given = layout.of_places(images, template)
    if template == layout.AUTO:
        given = {place: (_split(place), "") for place in images}
    found = [
        Found(images[place], label.text, *given[place])
        for place, label in labels.items() if not label.fault
    ]  # fmt: skip
    _check(found, kind)
    found, notes = _splits(found, folder, "{split}" in template)
    notes = [f"labels are those of the samples in shards ({kind})", *notes]
    if others:
        notes.append(f"{len(others)} further images of samples, such as {others[0]}: skipped")
    notes += layout_doubts.of_formulas({each.label for each in found})
    unlabelled = {images[place]: each.fault for place, each in labels.items() if each.fault}
    skipped = len(listing.entries(folder)) - len(labels) - len(beside)
    return Listing(found, skipped, "", notes, unlabelled=unlabelled)


def _by_names(found: Listing) -> Listing:
    """Return what a template with {label} found, but for files of samples that are no images."""
    images = [each for each in found.found if _is_image(each.path)]
    more = len(found.found) - len(images)
    return found._replace(found=images, skipped=found.skipped + more)


def _is_image(place: PurePath) -> bool:
    """Tell an image of a sample by its ending; one of a Parquet file may have none."""
    return listing.is_image_by_name(place.name) or not place.suffix


def _beside(folder: Path) -> dict[Place, Path]:
    """Return the files that may hold labels by their places, with endings in small letters."""
    files = [path for path in listing.files(folder) if path.suffix.lower() in LABELS]
    places = [Place(path.relative_to(folder)) for path in files]
    return {place.with_suffix(place.suffix.lower()): path for place, path in zip(places, files)}


def _keys(images: dict[Place, Path], beside: dict[Place, Path]) -> tuple[dict, list[Place]]:
    """Return the sample of each image, None where it has two, and the images that are more to it.

    The image of 0017.cls is 0017.jpg, and of 0017.x.cls 0017.x.jpg; where there is none it is what
    begins with 0017, such as 0017.left.jpg, which otherwise is more to the sample.
    """
    exact, further = defaultdict(list), defaultdict(list)
    for place in sorted(images):
        own = place.with_suffix("") if place.suffix else place
        has_own = any(_file(own, kind) in beside for kind in LABELS)
        (exact if has_own else further)[own if has_own else key_of(place)[0]].append(place)
    others = [place for key in further if key in exact for place in further[key]]
    samples = further | exact
    keys = {
        place: key if len(places) == 1 else None for key, places in samples.items()
        for place in places
    }  # fmt: skip
    return dict(sorted(keys.items())), others


def _file(key: Place, kind: str) -> Place:
    return key.with_name(f"{key.name}{kind}")


def _kind(keys: dict[Place, Place | None], beside: dict[Place, Path], wanted: str | None) -> str:
    """Return the ending of the files that have the labels."""
    known = {kind: [beside[_file(key, kind)] for key in keys.values()
                    if key and _file(key, kind) in beside] for kind in LABELS}  # fmt: skip
    cls, in_json, text = LABELS
    if known[cls]:
        return cls
    tried = (sample_labels.of_json(path, wanted) for path in islice(known[in_json], LOOK))
    return in_json if not known[text] or any(label.text for label in tried) else text


def _labels(
    keys: dict[Place, Place | None], beside: dict[Place, Path], kind: str, wanted: str | None
) -> dict[Place, Label]:
    cls, in_json, _ = LABELS

    def label_of(key: Place | None) -> Label:
        if key is None:
            return Label("", TWO_IMAGES)
        path, other = beside.get(_file(key, kind)), beside.get(_file(key, in_json))
        if path is None:
            return sample_labels.NONE
        if kind == in_json:
            return sample_labels.of_json(path, wanted)
        label = sample_labels.of_text(path)
        return sample_labels.agreed(label, other, wanted) if kind == cls and other else label

    return {place: label_of(key) for place, key in keys.items()}


def _check(found: list[Found], kind: str) -> None:
    classes = {each.label for each in found}
    if len(found) > FEW and len(classes) * 2 > len(found):
        raise UserError(
            f"the {kind} files of {len(found)} images hold {len(classes)} texts, such as "
            f"{min(classes)[:60]!r}, which are no labels", KEY, "name a source that has labels",
        )  # fmt: skip
    layout.check_labels(classes, KEY, f"in the {kind} files of shards")


def _split(place: Place) -> str:
    """Return the split that the name of a shard, or of a folder around it, has a word for."""
    return next(filter(None, map(split_of, reversed(place.parts[:-1]))), "")


def _splits(found: list[Found], folder: Path, are_meant: bool) -> tuple[list[Found], list[str]]:
    """Refuse splits of some images alone; leave out a single one that all have, unless meant."""
    splits = {each.given for each in found}
    if len(splits) > 1 and "" in splits:
        first = next(each.path for each in found if not each.given).relative_to(folder)
        raise UserError(
            f"{first} is in no split, and other shards are named for one", "data.layout",
            'name those that are meant, such as "train*/*"; "*" takes all and splits them anew',
        )  # fmt: skip
    if len(splits) > 1 or "" in splits or are_meant:
        return found, []
    return [each._replace(given="") for each in found], [
        f"all shards are named for {splits.pop()}, so they are split anew"
    ]
