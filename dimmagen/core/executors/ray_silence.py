"""Workers of a Ray pool that make nothing: reported after a while, and found after a timeout."""

import logging
import time
from collections.abc import Iterable

from dimmagen.core.executors.ray_tasks import PoolWorker

_LOG = logging.getLogger(__name__)
SILENCE_SECONDS = 60.0  # until a warning reports a worker that makes no pair
_MOST_SECONDS = 2.0  # between two looks: this process may have been suspended in between


class SilenceWatch:
    """Adds up how long each worker has made nothing.

    Args:
        unit: what workers make, for messages.
        timeout: seconds of silence after which a worker is to be replaced; None only reports it.
    """

    def __init__(self, unit: str, timeout: float | None) -> None:
        self._unit = unit
        self._timeout = timeout
        self._looked = time.monotonic()

    def look(self, members: Iterable[PoolWorker]) -> list[tuple[PoolWorker, str]]:
        """Report workers that are silent for long.

        Args:
            members: of the pool; idle ones and those without a place are never silent.

        Returns:
            Those that are to be replaced, each with the reason.
        """
        before, self._looked = self._looked, time.monotonic()
        passed = min(self._looked - before, _MOST_SECONDS)
        lost = []
        for member in members:
            if not member.place or member.is_idle:
                continue
            member.silence += passed
            if self._timeout is not None and member.silence > self._timeout:
                lost.append((member, f"no {self._unit} for {member.silence:.0f} s"))
            elif member.silence > SILENCE_SECONDS and not member.is_told:
                self._report(member)
        return lost

    def _report(self, member: PoolWorker) -> None:
        member.is_told = True
        _LOG.warning(
            "the worker on %s (process %d) has made no %s for %.0f s: %s%s",
            member.place,
            member.process,
            self._unit,
            member.silence,
            member.work(),
            "" if self._timeout else "; with a worker timeout it would be replaced",
        )
