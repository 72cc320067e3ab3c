"""Whether training may change something, and what that consists of."""

from __future__ import annotations

from collections.abc import Sequence


class Trained:
    """Something whose `trainable` can be set. `Trained.version` counts how often any was: networks found are kept."""

    version = 0
    _trainable = True

    def _parts(self) -> Sequence[Trained]:
        """What it consists of."""
        return ()

    @property
    def trainable(self) -> bool:
        """Whether training may change it; setting it sets what it consists of."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        reached: dict[int, Trained] = {}
        waiting: list[Trained] = [self]
        while waiting:  # each once: a layer may keep the one that it is in
            part = waiting.pop()
            if id(part) not in reached:
                reached[id(part)] = part
                part._trainable = bool(value)
                waiting += part._parts()
        Trained.version += 1
