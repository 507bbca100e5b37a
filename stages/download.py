"""Bring the images into the project and look at every one of them.

Reads  data.source: a name, a path or an address; images/, where one's own lie, and the
       corrections of their labels
Writes data/raw/             the valid images, in the folders they came in
       data/manifest.csv     path, label, given_split, group, and what each is (inspection.Facts)
       data/quarantine.csv   path, label, reason: the invalid images
       data/corrected.csv    path, label, corrected: the relabelled images, and those left out
       data/columns.csv      path, and the further columns of a table of labels, for scores by them
       metrics/download/     counts.json, sizes.png, quarantine.png
"""

import functools

from thaw.data import corrections, inspection, validation, value_range
from thaw.figures import dataset_plots, style
from thaw.images.settings import Decoding
from thaw.labels import layout, source_labels
from thaw.project import files, params, paths, snapshots
from thaw.project.cli import run
from thaw.project.settings import Runtime
from thaw.sources import source_folder
from thaw.sources.settings import Data


def main() -> None:
    for out in (paths.RAW, paths.DOWNLOAD_REPORT):
        files.refuse_link(out.parent)
    settings = params.load(Data, "data")
    decoding = params.load(Decoding, "images")
    runtime = params.load(Runtime, "runtime")
    max_pixels = int(settings.max_megapixels * 1e6)
    with files.scratch(paths.UNPACKED) as scratch:
        root = source_folder.fetch_source(settings, scratch, paths.DOWNLOADS)
        listing = source_labels.find(root, settings)
        inspect = functools.partial(
            inspection.inspect, min_side=settings.min_side, max_pixels=max_pixels
        )
        valid, invalid = validation.check_alike(listing.found, root, inspect, decoding, runtime)
        invalid = validation.with_unlabelled(invalid, listing.unlabelled, root)
        classes = {each.label for each in listing.found}
        corrected = corrections.apply(valid, settings.corrections, classes)
        valid, invalid = validation.part_contradictions(corrected.manifest, invalid)
        files.write_csv(paths.QUARANTINE, invalid)
        files.write_csv(paths.CORRECTED, corrected.images)
        validation.refuse(listing.found, valid, invalid, settings)
        with files.replacing(paths.RAW) as folder:
            for path, digest in zip(valid["path"], valid["sha256"]):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                snapshots.copy(root / path, folder / path, digest)
        with files.replacing(paths.DOWNLOAD_REPORT) as folder:
            style.save(dataset_plots.sizes(valid), folder / "sizes.png")
            sheet = dataset_plots.quarantined(invalid, root, decoding, max_pixels)
            style.save(sheet, folder / "quarantine.png")
            counts = validation.counts(valid, invalid, corrected, listing.skipped)
            files.write_json(folder / "counts.json", counts)
    files.write_csv(paths.MANIFEST, valid)
    columns = listing.columns[listing.columns["path"].isin(valid["path"])]
    files.write_csv(paths.COLUMNS, columns)
    files.remove(paths.DOWNLOADS)
    print(layout.summary(listing))
    notes = [*corrected.notes, value_range.summary(valid, decoding)]
    print(validation.summary(counts, invalid, notes))


if __name__ == "__main__":
    run(main)
