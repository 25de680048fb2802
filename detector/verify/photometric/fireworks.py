"""Recent fireworks: which lights of the last minutes were swarms of sparks."""

from dataclasses import dataclass

from detector.candidate import Candidate

# Point sources of a swarm of burning sparks; a channel that cloud or codec breaks hardly ever has as many.
SWARM_POINT_SOURCES = 17.0
# A swarm burns out; lamps that come to shine because the exposure rose stay.
BURNT_OUT = 0.8
# A show pauses for less than this.
REMEMBERED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Light:
    id: str
    start_seconds: float
    swarm: bool


class FireworkMemory:
    """Remembers the recent lights of each camera."""

    def __init__(self) -> None:
        # Tuples, each replaced as a whole: cameras are judged in threads of their own.
        self._lights: dict[str, tuple[_Light, ...]] = {}

    def swarms_before(self, candidate: Candidate) -> float:
        """Return how many lights of the last minutes were swarms, if these are half of all or more; else 0.

        A storm may have a stroke or two that look like one, but not every other.
        """
        lights = self._recent(candidate)
        swarms = sum(light.swarm for light in lights)
        return float(swarms) if 2 * swarms >= len(lights) else 0.0

    def add(self, candidate: Candidate, point_sources: float, decay_fraction: float) -> None:
        """Remember a candidate; adding it again replaces it.

        Args:
            candidate: the candidate.
            point_sources: how many separate points shone by themselves.
            decay_fraction: how far its light fell back, 0..1.
        """
        swarm = point_sources >= SWARM_POINT_SOURCES and decay_fraction >= BURNT_OUT
        light = _Light(candidate.id, candidate.start_seconds, swarm)
        self._lights[candidate.camera] = (*self._recent(candidate), light)

    def _recent(self, candidate: Candidate) -> tuple[_Light, ...]:
        # A clock that is behind what is remembered belongs to another recording.
        return tuple(
            light
            for light in self._lights.get(candidate.camera, ())
            if 0 <= candidate.start_seconds - light.start_seconds <= REMEMBERED_SECONDS and light.id != candidate.id
        )
