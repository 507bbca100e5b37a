"""See to it that each class has images in every split, by moving as few of them as possible."""

import pandas as pd

from thaw.data.manifest import SPLITS
from thaw.project.errors import UserError

Parts = dict[str, tuple[float, float]]  # split: from which to below which place of the hash
# where images for a split are taken from, as long as that one keeps enough
DONORS = {
    "test": ("train", "validation"),
    "validation": ("train", "test"),
    "train": ("validation", "test"),
}
NAMED = 3  # classes in a message
GROUPED = (
    "go without the groups or without the source's splits: set data.labels.group or "
    'data.labels.split to "", or leave it out of data.layout'
)


def fill(
    labels: pd.Series, split: pd.Series, groups: pd.Series, places: pd.Series, parts: Parts,
    need: dict[str, int],
) -> pd.Series:  # fmt: skip
    """Return `split` with images moved so that each class has `need` of them in each of `parts`.

    A split that lacks images takes those nearest to its limits, whole groups of them, while the
    split that gives keeps what it needs of each class. Images outside of `parts` stay. Where that
    is not enough, a class stays short. All Series have the same index; `places` are the hashes'.
    """
    held = labels.groupby([labels, split]).size().unstack(fill_value=0)
    held = held.reindex(columns=list(SPLITS), fill_value=0).to_dict("index")
    short = [
        label for label in sorted(held) if any(held[label][part] < need[part] for part in parts)
    ]
    if not short:
        return split
    units = _Units(labels, split, groups, places, parts)
    for label in short:
        for target in (part for part in DONORS if part in parts):
            while held[label][target] < need[target]:
                group = units.nearest(label, target, held, need)
                if group is None:
                    break
                units.move(group, target, held)
    movable = split.isin(list(parts))
    return split.where(~movable, groups.map(units.split))


class _Units:
    """The groups of images that may be moved: where each is, and what it holds."""

    def __init__(
        self, labels: pd.Series, split: pd.Series, groups: pd.Series, places: pd.Series,
        parts: Parts,
    ) -> None:  # fmt: skip
        self.parts = parts
        movable = split.isin(list(parts))
        table = pd.DataFrame({"label": labels, "split": split, "group": groups, "place": places})
        by_group = table[movable].groupby("group")
        self.split = by_group["split"].first().to_dict()
        self.place = by_group["place"].min().to_dict()
        self.holds: dict[int, dict[str, int]] = {}
        self.of_label: dict[str, list[int]] = {}
        for (group, label), size in table[movable].groupby(["group", "label"]).size().items():
            self.holds.setdefault(group, {})[label] = int(size)
            self.of_label.setdefault(label, []).append(group)

    def nearest(self, label: str, target: str, held: dict, need: dict[str, int]) -> int | None:
        """Return the group with images of `label` to move to `target`, None if none may go."""
        for donor in DONORS[target]:
            free = [
                group
                for group in self.of_label.get(label, [])
                if self.split[group] == donor
                and all(
                    held[each][donor] - size >= need[donor]
                    for each, size in self.holds[group].items()
                )
            ]
            if free:
                low, high = self.parts[target]
                return min(
                    free,
                    key=lambda group: (
                        max(low - self.place[group], self.place[group] - high, 0.0),
                        self.place[group],
                    ),
                )
        return None

    def move(self, group: int, target: str, held: dict) -> None:
        for label, size in self.holds[group].items():
            held[label][self.split[group]] -= size
            held[label][target] += size
        self.split[group] = target


def check(
    manifest: pd.DataFrame, split: pd.Series, groups: pd.Series, parts: Parts, need: dict[str, int]
) -> None:
    """Raise UserError that names the classes which have less than `need` in one of the splits."""
    if len(parts) < len(SPLITS):
        _check_given(manifest)
    label = manifest["label"]
    held = pd.crosstab(label, split).reindex(columns=list(SPLITS), fill_value=0)
    short = {
        name: next(part for part in SPLITS if row[part] < need[part])
        for name, row in held.iterrows()
        if any(row[part] < need[part] for part in SPLITS)
    }
    if not short:
        return
    first, lacks = next(iter(short.items()))
    images = int((label == first).sum())
    if lacks not in parts:
        grouped = (manifest.loc[label == first, "group"] != "").any()
        of = "others of their groups" if grouped else "copies of those"
        raise UserError(
            f"class {first!r} has no image left in {lacks}: {of} are in other splits",
            hint=GROUPED if grouped else f"remove these copies, or add images to {lacks}",
        )
    of_class = (label == first) & split.isin(list(parts))
    free, several, wanted = of_class.sum(), groups[of_class].nunique(), sum(need[p] for p in parts)
    source = "" if len(parts) == len(SPLITS) else f" in the source's own {_cut(parts)} images"
    others = {1: "", 2: "; 1 more class has too few"}.get(
        len(short), f"; {len(short) - 1} more classes have too few"
    )
    if free < wanted:
        used = f", {free} of them used" if free < images and not source else ""
        problem = f"class {first!r} has {_count(free if source else images)}{used}{source}"
    else:
        problem = (
            f"class {first!r} has {_count(free)}{source}, but copies of an image and images of a "
            f"group stay together, and these are {several} groups"
        )
    shares = ", ".join(f"{need[part]} for {part}" for part in SPLITS if part in parts)
    raise UserError(
        f"{problem}; at least {wanted} are needed ({shares}){others}",
        hint="add images, or remove the class",
    )


def _check_given(manifest: pd.DataFrame) -> None:
    """Raise UserError when one of the source's own splits lacks a class that another has."""
    found = pd.crosstab(manifest["label"], manifest["given_split"])
    for part in (each for each in SPLITS if each in found):
        lacking = found.index[found[part] == 0].tolist()
        if lacking:
            others = [each for each in SPLITS if each in found and found.loc[lacking, each].any()]
            raise UserError(
                f"the source's own {part} images have none of {_classes(lacking)}, which "
                f"{'is' if len(lacking) == 1 else 'are'} in {' and '.join(others)}",
                hint=f"add some to {part}, move out of the source what is no class"
                + _without_its_split(manifest),
            )


def _without_its_split(manifest: pd.DataFrame) -> str:
    """Say how to have all images split anew, "" where the class is in no folder's name."""
    path, label = manifest.iloc[0][["path", "label"]]
    folders = path.split("/")[:-1]
    if label not in folders:
        return ""
    template = "/".join([*["*"] * folders.index(label), "{label}", "*"])
    return f", or set data.layout to '{template}' to split all images anew"


def _cut(parts: Parts) -> str:
    """Return which of the source's splits is cut into `parts`."""
    return "train" if "train" in parts else "validation"


def _classes(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    kind = "class" if len(names) == 1 else "classes"
    return f"{kind} {', '.join(map(repr, names[:NAMED]))}{more}"


def _count(images: int) -> str:
    return f"{images} image{'s' if images != 1 else ''}"
