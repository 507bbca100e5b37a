"""Settings of this machine that cannot change a result; DVC does not track them."""

import os
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import Field

from thaw.project.params import Section


class Runtime(Section):
    """How fast, not what."""

    workers: Annotated[int, Field(ge=0)]
    devices: Literal["auto"] | Annotated[int, Field(ge=1)]
    engine: Literal["local", "ray"]
    shared_folder: bool
    batch_size: Annotated[int, Field(ge=2)]
    store: str | None
    store_gigabytes: Annotated[float, Field(gt=0)]

    @property
    def threads(self) -> int:
        """The number of decoding threads: `workers`, or one per core when that is 0."""
        return self.workers or os.cpu_count() or 1

    @property
    def store_file(self) -> Path | None:
        """The feature store's file, or None for no store."""
        if self.store is None:
            return None
        folder = user_cache_path("thaw") if self.store == "default" else Path(self.store)
        return folder / "features.sqlite"
