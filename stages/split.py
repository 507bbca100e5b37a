"""Put every picture into train, validation or test, by its content.

Reads  data/manifest.csv
Writes data/split.csv: path, label, split; row i belongs to manifest row i
"""

from stages.lib import files, manifest, params, paths, splitting
from stages.lib.errors import run


def main() -> None:
    settings = params.load(splitting.Split, "split")
    rows = manifest.read(paths.MANIFEST)
    split = splitting.assign(rows, settings)
    files.write_csv(paths.SPLIT, rows[["path", "label"]].assign(split=split))
    print(splitting.counts(rows["label"], split).rename_axis(columns=None).to_string())


if __name__ == "__main__":
    run(main)
