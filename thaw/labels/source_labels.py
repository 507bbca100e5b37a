"""Where the labels of a source are: in its folders, in a table, or in the samples of shards."""

from pathlib import Path

from thaw.labels import label_table, layout, samples
from thaw.labels.layout import Listing
from thaw.project.errors import UserError
from thaw.sources import shards
from thaw.sources.settings import Data, Labels


def find(root: Path, settings: Data) -> Listing:
    """List the images of a source, as `source_folder.fetch_source` returns it, with their labels.

    Raises UserError where the settings do not fit, or several labels would do.
    """
    if shards.are_in(root):
        _check(settings.labels)
        return samples.find(root, settings.labels, settings.layout)
    if settings.labels:
        return label_table.find(root, settings.labels, settings.layout)
    return layout.find(root, settings.layout)


def _check(labels: Labels | None) -> None:
    """Refuse settings of a table for shards, whose samples have a label and no more."""
    if labels is None:
        return
    if not labels.table.lower().endswith(shards.ENDINGS):
        raise UserError(
            f"{labels.table!r} is no shard, and the labels lie in those", "data.labels",
            'set this to null, or name a column: {table: "*.parquet", label: species}',
        )  # fmt: skip
    if labels.split or labels.group or isinstance(labels.label, list):
        raise UserError(
            "shards have one column for the label, and none for splits or groups", "data.labels",
            "leave those out; data.layout can tell splits and groups by the names of shards",
        )  # fmt: skip
