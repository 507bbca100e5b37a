"""Put every image into train, validation or test by its content; what belongs together, into one.

Reads  data/manifest.csv, data/quarantine.csv, data/corrected.csv
Writes data/split.csv: path, label, split; row i belongs to manifest row i
       metrics/split.json: counts of images, classes, groups and duplicates
       metrics/split/: counts.png, with classes.csv where it numbers classes
"""

from thaw.data import duplicates, manifest, splitting
from thaw.data.settings import Split
from thaw.figures import dataset_plots, style
from thaw.project import files, params, paths
from thaw.project.cli import run


def main() -> None:
    settings = params.load(Split, "split")
    rows, quarantine = manifest.read(paths.MANIFEST), manifest.read_table(paths.QUARANTINE)
    corrected = manifest.read_table(paths.CORRECTED, needs=("path", "label", "corrected"))
    groups = duplicates.group(rows, settings.near_duplicates)
    split = splitting.assign(rows, groups, settings)
    files.write_csv(paths.SPLIT, rows[["path", "label"]].assign(split=split))
    report = splitting.report(rows, len(quarantine), corrected, groups, split, settings)
    files.write_json(paths.SPLIT_REPORT, report)
    counts = splitting.counts(rows["label"], split)
    with files.replacing(paths.SPLIT_FIGURES) as folder:
        style.save(dataset_plots.counts(counts), folder / "counts.png")
        legend = style.write_legend(folder, [*counts.index])
    print(splitting.table(counts))
    print(splitting.summary(report, groups.note))
    if legend:
        print(legend)


if __name__ == "__main__":
    run(main)
