"""Where the labels of a source are: in its folders, in a table, or in the samples of shards."""

from pathlib import Path

from thaw.labels import label_table, layout, samples
from thaw.labels.layout import Listing
from thaw.sources import shards
from thaw.sources.settings import Data


def find(root: Path, settings: Data) -> Listing:
    """List the images of a source, as `source_folder.fetch_source` returns it, with their labels.

    Raises UserError where the settings do not fit, or several labels would do.
    """
    if shards.are_in(root):
        return samples.find(root, settings.labels, settings.layout)
    if settings.labels:
        return label_table.find(root, settings.labels, settings.layout)
    return layout.find(root, settings.layout)
