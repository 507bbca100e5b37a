"""Find the one template that a source's folders can be meant by, or say which two would do."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NoReturn

from thaw.labels import layout_doubts
from thaw.labels.folder_tree import FEW, Node, literal, merged, names_of, only, tree
from thaw.labels.layout_doubts import check_names, refuse
from thaw.labels.split_words import split_of
from thaw.project.errors import UserError
from thaw.sources import listing

# folders that are named for what they hold, and not for a class
IMAGE_FOLDERS = {
    "images",
    "image",
    "imgs",
    "img",
    "photos",
    "pictures",
    "pics",
    "jpg",
    "jpeg",
    "png",
}
NO_CLASS = IMAGE_FOLDERS | {
    "masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth",
    "ground_truth", "segmentation", "segmentations", "depth", "boxes", "xmls", "trimaps",
}  # fmt: skip
# folders of images without labels, which may lie beside splits
UNLABELLED = {
    "pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "inference",
}  # fmt: skip


def infer(places: Iterable[PurePosixPath], tables: list[PurePosixPath]) -> tuple[str, list[str]]:
    """Return the template for these images, and sentences about what it leaves out.

    `places` are the images' paths from the source's folder on; `tables` the tables' that may hold
    labels. Raises UserError that prints the templates that would do, where several would.
    """
    return _of_folder(tree(sorted(places)), "", tables)


def _of_folder(node: Node, prefix: str, tables: list[PurePosixPath]) -> tuple[str, list[str]]:
    """Return what `infer` does, for a folder to which the template `prefix` leads."""
    while len(node.folders) == 1 and node.deep and only(node).deep:
        (name, child), = node.folders.items()  # fmt: skip
        node, prefix = child, f"{prefix}{literal(name)}/"
    if not node.folders or (len(node.folders) == 1 and not only(node).folders):
        layout_doubts.refuse_flat(node, prefix, tables)
    _refuse_many_beside(node, prefix)
    splits = {name: split_of(name) for name in node.folders if split_of(name)}
    if any(node.folders[name].deep for name in splits):
        return _split_folders(node, prefix, splits), []
    if len(splits) == len(node.folders):
        layout_doubts.refuse_flat(node, prefix, tables)
    if len(node.folders) == 1:
        layout_doubts.refuse_one(node, prefix)
    if all(name.lower() in NO_CLASS for name in node.folders):
        _refuse_kinds(node, prefix, tables)
    notes = [
        f"{prefix}{name} is taken for a class, as the folders beside it are" for name in splits
    ]
    return f"{prefix}{{label}}/{_below_classes(node, prefix)}", notes


def _split_folders(node: Node, prefix: str, splits: dict[str, str]) -> str:
    """Return the template of SPLIT/CLASS/, with as many folders between the two as there are."""
    others = [name for name in node.folders if name not in splits]
    strange = [name for name in others if not _is_unlabelled(name)]
    if strange:
        what = "folders" if node.folders[strange[0]].deep else "images"
        refuse(
            f"{strange[0]!r} holds {what} and stands beside split folders ({names_of(splits)})",
            [(f"{prefix}{{split}}/{{label}}/*", f"to leave {strange[0]} out"),
             (f"{prefix}{{label}}/*", f"if {names_of(node.folders)} are the classes")],
        )  # fmt: skip
    twice = [name for name, split in splits.items() if list(splits.values()).count(split) > 1]
    if twice:
        refuse(
            f"{names_of(twice)} are both named for {splits[twice[0]]}",
            [(f"{prefix}{{split}}/{{label}}/*", "to use both"),
             (f"{prefix}{literal(twice[0])}/{{label}}/*", f"to use {twice[0]} alone")],
        )  # fmt: skip
    between, classes = {}, {}
    for name in splits:
        inner, between[name] = node.folders[name], ""
        while len(inner.folders) == 1 and inner.deep and only(inner).deep:
            inner, between[name] = only(inner), f"{between[name]}*/"
        classes[name] = inner
    labels = {label for each in classes.values() for label in each.folders}
    check_names(labels)
    names = {label.lower() for label in labels}
    if names <= NO_CLASS:
        refuse(f"there are no class folders: {names_of(splits)} hold {names_of(names)}", [])
    _check_same_classes(classes, prefix, between)
    if len(set(between.values())) > 1:
        train = next((name for name in splits if splits[name] == "train"), next(iter(splits)))
        refuse(
            f"the class folders of {names_of(splits)} lie at different depths; move them to the "
            "same one",
            [(f"{prefix}{literal(train)}/{between[train]}{{label}}/*",
              f"to use {train} alone and split it anew")],
        )  # fmt: skip
    above = f"{prefix}{{split}}/{next(iter(between.values()))}"
    return f"{above}{{label}}/{_below_classes(merged(classes.values()), above)}"


def _refuse_kinds(node: Node, prefix: str, tables: list[PurePosixPath]) -> NoReturn:
    """Refuse folders such as images and masks; the one with images may have a layout of its own."""
    ways = [(f"{prefix}{{label}}/*", "if they are classes"), *layout_doubts.by_name(node, prefix)]
    for name in sorted(IMAGE_FOLDERS & set(node.folders)):
        try:
            template, _ = _of_folder(node.folders[name], f"{prefix}{name}/", tables)
        except UserError:
            continue
        ways.insert(0, (template, f"to use {name} alone"))
    refuse(
        f"{names_of(node.folders)} are named for what they hold and not for classes", ways, tables
    )


def _check_same_classes(classes: dict[str, Node], prefix: str, between: dict[str, str]) -> None:
    """Refuse splits whose class folders are not the same in each."""
    train = max(classes, key=lambda name: (split_of(name) == "train", len(classes[name].folders)))
    known = set(classes[train].folders)
    above = f"{prefix}{literal(train)}/{between[train]}"
    anew = f"{prefix}*/{between[train]}{{label}}/*"
    for name, node in classes.items():
        here = set(node.folders)
        lacks, more = sorted(known - here), sorted(here - known)
        if here == known:
            continue
        alone = f"{above}{{label}}/{_below_classes(classes[train], above)}"
        templates = [(alone, f"to use {train} alone and split it anew")]
        if not here and sum(each.deep for each in classes.values()) > 1:
            rest = f"{prefix}{{split}}/{between[train]}{{label}}/*"
            templates.insert(0, (rest, f"to leave {name} out"))
        if not here & known:
            holds = f"{names_of(more)}, which {train} lacks" if more else "no class folders"
            refuse(
                f"the images of {name} have no labels: {name} has {holds}; the classes "
                f"of {train} are {names_of(known)}",
                templates,
            )
        templates.append((anew, "to split all anew"))
        if more:
            refuse(f"{name} has class {more[0]!r}, which {train} lacks", templates)
        if lacks:
            refuse(f"{name} has no class {lacks[0]!r}, which {train} has", templates)


def _below_classes(node: Node, above: str) -> str:
    """Return the template below the class folders of `node`: "*", or "{split}/*"."""
    inner = Counter(name for child in node.folders.values() for name in child.folders)
    if not inner:
        return "*"
    label, deep = f"{above}{{label}}", [name for name, each in node.folders.items() if each.deep]
    if "{split}" not in above and deep and len(inner) > 1 and all(map(split_of, inner)):
        return _splits_in_classes(node, above)
    shared = [name for name, count in inner.items() if count > 1]
    if len(deep) < len(node.folders):
        holds = [name for name in deep if len(node.folders[name].folders) > 1]
        if holds:
            other = next(name for name in node.folders if name not in deep)
            refuse(
                f"{holds[0]!r} holds folders only ({names_of(node.folders[holds[0]].folders)}) and "
                f"{other!r} beside it holds images",
                [(f"{label}/*", "if both are classes"),
                 (f"{above}{literal(holds[0])}/{{label}}/*",
                  f"for the classes {names_of(node.folders[holds[0]].folders)}")],
            )  # fmt: skip
        if shared:
            tops = names_of(layout_doubts.holding(node, shared[0]))
            refuse(
                f"{tops} hold images and a folder {shared[0]!r} each",
                [(f"{label}/*.*", "to leave it out"), (f"{label}/*", "to use it as well")],
            )
        return "*"
    one = all(len(child.folders) == 1 for child in node.folders.values())
    own = all(set(child.folders) == {name} for name, child in node.folders.items())
    if len(inner) == 1 or own or (one and {name.lower() for name in inner} <= IMAGE_FOLDERS):
        return "*"
    named = [name for name in inner if name.lower() in IMAGE_FOLDERS and inner[name] > 1]
    if named:
        refuse(
            f"each class folder holds folders ({names_of(inner)}), and not all may be images to "
            "learn from",
            [(f"{label}/{literal(named[0])}/*", f"to use {named[0]} alone"),
             (f"{label}/*", "to use all")],
        )  # fmt: skip
    layout_doubts.refuse_two_levels(node, above, inner)


def _splits_in_classes(node: Node, above: str) -> str:
    """Return the template below the classes of CLASS/SPLIT/, or refuse where they do not fit."""
    for folder in node.folders.values():
        for split, inner in folder.folders.items():
            if inner.deep and len(inner.folders) > 1:
                first = literal(next(iter(node.folders)))
                tops = names_of(node.folders)
                if named := sorted(IMAGE_FOLDERS & set(inner.folders)):
                    template = f"{above}{{label}}/{{split}}/{named[0]}/*"
                    refuse(
                        f"{tops} hold {split} with folders ({names_of(inner.folders)}), and not "
                        "all may be images to learn from",
                        [(template, f"to use {named[0]} alone")],
                    )
                refuse(
                    f"which level names the classes? {tops} hold {split} with "
                    f"folders ({names_of(inner.folders)})",
                    [(f"{above}{first}/{{split}}/{{label}}/*", f"for the classes "
                      f"{names_of(inner.folders)}, of {first} alone"),
                     (f"{above}{{label}}/{{split}}/*", f"for the classes {tops}")],
                )  # fmt: skip
    wanted = {split_of(name) for each in node.folders.values() for name in each.folders}
    for label, folder in node.folders.items():
        lacks = sorted(wanted - {split_of(name) for name in folder.folders})
        if lacks:
            refuse(
                f"class {label!r} has no folder for {lacks[0]}, and others have",
                [(f"{above}{{label}}/*", "to split all anew")],
            )
        if folder.direct:
            refuse(
                f"class {label!r} has images beside its split folders ({names_of(folder.folders)})",
                [(f"{above}{{label}}/{{split}}/*", "to leave them out"),
                 (f"{above}{{label}}/*", "to split all anew")],
            )  # fmt: skip
    return "{split}/*"


def _refuse_many_beside(node: Node, prefix: str) -> None:
    """Refuse a folder with many images beside its folders; few are left out with a word."""
    beside = sum(map(listing.is_image_by_name, node.names))
    if beside * FEW > node.below:
        refuse(
            f"{beside} image files lie beside the folders {names_of(node.folders)}",
            [(f"{prefix}{{label}}/*", "to leave them out")],
        )


def _is_unlabelled(name: str) -> bool:
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return any(word in UNLABELLED for word in words)
