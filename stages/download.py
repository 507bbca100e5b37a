"""Bring the pictures into the project and look at every one of them.

Reads  data.source: a name, a path or an address; pictures/, where one's own lie
Writes data/raw/             the usable pictures, in the folders they came in
       data/manifest.csv     path, label, given_split, group, and what each is (audit.Facts)
       data/quarantine.csv   path, label, reason: the files that are no usable pictures
       metrics/download/     counts.json, sizes.png, quarantine.png
"""

import functools
import shutil

from stages.lib import (
    audit,
    data_figures,
    figures,
    files,
    layout,
    manifest,
    params,
    paths,
    pictures,
    sources,
)
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def main() -> None:
    settings = params.load(sources.Data, "data")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    max_pixels = int(settings.max_megapixels * 1e6)
    with files.scratch(paths.UNPACKED) as scratch:
        root = sources.fetch(settings, scratch, paths.DOWNLOADS)
        found, skipped = layout.find(root)
        inspect = functools.partial(
            audit.inspect,
            root=root,
            settings=decoding,
            min_side=settings.min_side,
            max_pixels=max_pixels,
        )
        good, bad = audit.check(found, root, inspect, runtime.threads)
        good, bad = audit.part_contradictions(good, bad)
        files.write_csv(paths.QUARANTINE, bad)
        audit.refuse(found, good, bad, settings.on_bad, settings.max_bad)
        groups = settings.groups and root / settings.groups
        good = manifest.with_groups(good, groups, list(bad["path"]))
        with files.replacing(paths.RAW) as folder:
            for path in good["path"]:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / path, folder / path)
        with files.replacing(paths.DOWNLOAD_REPORT) as folder:
            figures.save(data_figures.sizes(good), folder / "sizes.png")
            sheet = data_figures.quarantined(bad, root, decoding, max_pixels)
            figures.save(sheet, folder / "quarantine.png")
            counts = audit.counts(good, bad, skipped)
            files.write_json(folder / "counts.json", counts)
    files.write_csv(paths.MANIFEST, good)
    files.remove(paths.DOWNLOADS)
    print(audit.summary(counts))


if __name__ == "__main__":
    run(main)
