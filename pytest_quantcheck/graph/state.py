"""What goes from one inference to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class State:
    """What an inference hands on to the next one: tensor ``before`` holds it when one begins, ``after`` when
    it ends. A sequence begins with ``initial``, of the tensors' shape and type.
    """

    before: int
    after: int
    initial: npt.NDArray[np.generic]
