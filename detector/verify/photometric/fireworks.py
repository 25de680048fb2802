"""Memory of recent fireworks: the lights of the last minutes that were swarms of sparks."""

from dataclasses import dataclass

from detector.candidate import Candidate
from detector.prefilter.recurrence import RecentLights

# Least point sources of a swarm of sparks; a channel that clouds or the codec break rarely has as many.
SWARM_POINT_SOURCES = 17.0
# A swarm burns out; lamps that become visible because the exposure rose stay.
BURNT_OUT = 0.8
# A show pauses for less than this.
SHOW_MEMORY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Light:
    id: str
    swarm: bool


class FireworkMemory:
    """Remember which recent lights of each camera were swarms of sparks."""

    def __init__(self) -> None:
        self._cameras: dict[str, RecentLights[_Light]] = {}

    def swarms_before(self, candidate: Candidate) -> float:
        """Return how many lights of the last minutes were swarms, if these are at least half of all; else 0.

        A storm may have one or two flashes that look like swarms, but not every second one.
        """
        memory = self._cameras.get(candidate.camera)
        recent = () if memory is None else memory.before(candidate.start_seconds)
        # A light that is judged again counts once, and not for itself.
        lights = {light.id: light.swarm for light in recent if light.id != candidate.id}
        swarms = sum(lights.values())
        return float(swarms) if 2 * swarms >= len(lights) else 0.0

    def add(self, candidate: Candidate, point_sources: float, decay_fraction: float) -> None:
        """Remember a candidate; adding it again replaces it.

        Args:
            candidate: the candidate.
            point_sources: number of separate light sources.
            decay_fraction: how far its light fell back, 0..1.
        """
        swarm = point_sources >= SWARM_POINT_SOURCES and decay_fraction >= BURNT_OUT
        memory = self._cameras.setdefault(candidate.camera, RecentLights(seconds=SHOW_MEMORY_SECONDS))
        memory.add(candidate.start_seconds, _Light(candidate.id, swarm))
