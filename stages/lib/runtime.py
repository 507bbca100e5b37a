"""Settings of this machine that cannot change a result; DVC does not track them."""

import os
from typing import Annotated

from pydantic import Field

from stages.lib.params import Section


class Runtime(Section):
    """How fast, not what."""

    workers: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]

    @property
    def threads(self) -> int:
        """The number of decoding threads: `workers`, or one per core when that is 0."""
        return self.workers or os.cpu_count() or 1
