"""What a person runs beside the pipeline, each by `python -m tools.NAME`."""

from thaw.project import stops

stops.end_at_once()
