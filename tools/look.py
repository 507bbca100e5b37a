"""Look at a source of images before a run: `python -m tools.look PATH`.

PATH is what data.source may be: a folder, an archive, an address or a name. Prints what a run would
see, what is doubtful, and what fits into params.yaml. --use puts it there and keeps all comments.
--layout and --labels try other values of data.layout and data.labels.
"""

import argparse
from collections import Counter
from pathlib import Path

import pandas as pd

from thaw.data import refusals, survey
from thaw.data.settings import Split
from thaw.images.settings import Decoding
from thaw.labels import layout, source_labels
from thaw.labels.layout import Listing
from thaw.project import files, params, paths, stage_run
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.project.settings import Runtime
from thaw.sources import shards, source_folder
from thaw.sources.settings import Data
from tools import recipe

UNPACKED = Path("data/partial-look")
MOST = 20  # classes in the table
TRIED = 3  # tables, where there are no class folders


def listing_of(root: Path, settings: Data) -> tuple[Listing, str | None]:
    """List the images, and name the table that gives their labels, None for none.

    Where the folders tell no class, the tables in the source are tried. Raises what
    `layout.find` raises where none of them fits, or several.
    """
    wanted = settings.labels.table if settings.labels else None
    try:
        return source_labels.find(root, settings), wanted
    except UserError as refusal:
        if wanted or shards.are_in(root):
            raise
        fits = {}
        for table in layout.tables_in(root)[:TRIED]:
            try:
                tried = params.check(
                    Data, {"data": settings.model_dump() | {"labels": str(table)}}, "data"
                )
                fits[str(table)] = source_labels.find(root, tried)
            except UserError:
                continue
        if len(fits) != 1:
            raise refusal from None
        (table, listing), = fits.items()  # fmt: skip
        return listing, table


def counts(listing: Listing) -> str:
    """Return images by class and split as a table; of many classes the largest and smallest."""
    rows = pd.DataFrame([each[1:3] for each in listing.found], columns=["label", "split"])
    table = pd.crosstab(rows["label"], rows["split"].replace("", "images"))
    order = [name for name in ("images", "train", "validation", "test") if name in table]
    table = table[order].rename_axis(index=None, columns=None)
    if len(table) <= MOST:
        return table.to_string()
    ranked = table.loc[table.sum(axis=1).sort_values(ascending=False).index]
    half = MOST // 2
    more = f"... {len(table) - 2 * half} more classes ..."
    largest, *others = (ranked.iloc[:half].to_string(), ranked.iloc[-half:].to_string(header=False))
    return "\n".join([largest, more, *others])


def page(source: str, listing: Listing, seen: survey.Survey, root: Path, stops: list[str]) -> str:
    """Return what is said of a source; `stops` are what a run would stop at."""
    classes = {each.label for each in listing.found}
    glances = seen.glances.values()
    lines = [f"{source}: {len(listing.found):,} images of {len(classes):,} classes", ""]
    lines += [counts(listing), ""]
    lines += listing_lines(listing)
    if glances:
        sides = [sorted(values) for values in zip(*(each[:2] for each in glances))]
        spans = [
            f"{low} to {high}" if low < high else str(low)
            for low, high in ((side[0], side[-1]) for side in sides)
        ]
        median = " x ".join(str(side[len(side) // 2]) for side in sides)
        middle = "" if median == " x ".join(spans) else f" (median {median})"
        lines.append(f"sizes    {' x '.join(spans)} pixels{middle}")
        for name in ("format", "mode"):
            kinds = Counter(getattr(each, name) for each in glances).most_common()
            lines.append(f"{name + 's':<8} {', '.join(f'{kind} {count}' for kind, count in kinds)}")
    decoded = sum(bool(each.pixels) for each in glances)
    if decoded < len(glances):
        lines.append(
            f"note     {decoded:,} of {len(glances):,} images were decoded in the time; a run "
            "decodes all"
        )
    doubts = list(seen.doubts)
    if seen.invalid:
        path, reason = next(iter(seen.invalid.items()))
        doubts.append(
            f"{_count(len(seen.invalid), 'invalid image')}, such as {path.relative_to(root)} "
            f"({reason})"
        )
    lines += [f"doubtful {one_line(doubt)}" for doubt in doubts]
    return "\n".join([*lines, *[f"A RUN WOULD STOP: {one_line(reason)}" for reason in stops]])


def listing_lines(listing: Listing) -> list[str]:
    skipped = f"skipped  {_count(listing.skipped, 'other file')}" if listing.skipped else ""
    notes = [f"note     {one_line(note)}" for note in listing.notes]
    by = [f"layout   {listing.layout}"] if listing.layout else []
    return [*by, *([skipped] if skipped else []), *notes]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' if number != 1 else ''}"


def shown(changes: dict[str, dict]) -> str:
    """Return settings as they stand in params.yaml."""
    empty = "".join(
        f"{section}:\n" + "".join(f"  {key}:\n" for key in keys)
        for section, keys in changes.items()
    )
    return recipe.apply(empty, changes).rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="PATH")
    parser.add_argument("--layout", default="auto", help="a template, or auto")
    parser.add_argument("--labels", metavar="TABLE", help="a table in the source")
    parser.add_argument("--use", action="store_true", help="put what fits into params.yaml")
    options = parser.parse_args()
    with stage_run.alone():  # it downloads to where the stage does
        look(options)


def look(options: argparse.Namespace) -> None:
    values = params.read()
    old = values.get("data") or {}
    digest = old.get("sha256") if old.get("source") == options.source else None
    wanted = {"source": options.source, "sha256": digest}
    wanted |= {"layout": options.layout, "labels": options.labels}
    values["data"] = old | wanted
    settings = params.check(Data, values, "data")
    decoding = params.check(Decoding, values, "images")
    split = params.check(Split, values, "split")
    workers = params.check(Runtime, values, "runtime").threads
    with files.scratch(UNPACKED) as scratch:
        root = source_folder.fetch_source(settings, scratch, paths.DOWNLOADS)
        listing, wanted["labels"] = listing_of(root, settings)
        seen = survey.take(listing.found, root, settings, decoding, workers)
        seen = seen._replace(invalid=seen.invalid | dict(listing.unlabelled))
        stops = refusals.foreseen(listing.found, seen.glances, seen.invalid, root, settings, split)
        print(page(options.source, listing, seen, root, stops))
    changes = {
        "data": wanted,
        **survey.suggestions({each.label for each in listing.found}, seen.glances),
    }
    if not options.use:
        print(f"\n{shown(changes)}\n\nthis fits into params.yaml; --use puts it there")
        return
    recipe.change(changes)
    print(f"\n{shown(changes)}\n\nthis is in {paths.PARAMS} now; `dvc repro` runs it")


if __name__ == "__main__":
    run(main)
