"""The stages of the pipeline, each run by `python -m stages.NAME`."""

from thaw.project import stops

stops.end_at_once()
