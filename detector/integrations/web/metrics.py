"""The state of the page as Prometheus metrics."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from detector.integrations.web.board import Board
from detector.integrations.web.health import camera_mark
from detector.integrations.web.tallies import Histogram

CONTENT_TYPE = CONTENT_TYPE_LATEST

_COUNTERS = {
    "frames": ("lightning_camera_frames", "Frames delivered by the camera since watch started."),
    "damaged": ("lightning_camera_damaged_frames", "Of these, frames that may be damaged."),
    "skipped": ("lightning_camera_skipped_frames", "Frames left out because the program was too slow."),
    "reconnects": ("lightning_camera_reconnects", "Times that the camera came back."),
}


class BoardCollector(Collector):
    """A collector that makes the metrics on request; nothing is kept besides the board."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._cameras()
        yield from self._flashes()
        yield from self._feeds()

    def _cameras(self) -> Iterator[Metric]:
        now, labels = time.monotonic(), ["site", "camera"]
        up = GaugeMetricFamily("lightning_camera_up", "1 while the camera is live.", labels=labels)
        age = GaugeMetricFamily(
            "lightning_camera_last_frame_age_seconds", "Since the last frame arrived.", labels=labels
        )
        rate = GaugeMetricFamily("lightning_camera_frames_per_second", "Frames a second lately.", labels=labels)
        bound = GaugeMetricFamily(
            "lightning_camera_clock_error_seconds", "Bound on the error of a frame's time.", labels=labels
        )
        counters = {key: CounterMetricFamily(name, text, labels=labels) for key, (name, text) in _COUNTERS.items()}
        for camera in self._board.camera_list():
            site = self._board.sites.get(camera.site)
            if site is None:
                continue
            where = [camera.site, camera.name]
            up.add_metric(where, float(camera_mark(camera, site, now)[0] == "ok"))
            seconds = camera.age(now)
            if seconds is not None:
                age.add_metric(where, seconds)
            told = camera.counters
            if isinstance(told.get("fps"), float | int):
                rate.add_metric(where, float(told["fps"]))
            if isinstance(told.get("bound_ms"), float | int):
                bound.add_metric(where, told["bound_ms"] / 1000)
            for key, family in counters.items():
                if isinstance(told.get(key), int):
                    family.add_metric(where, told[key])
        yield from (up, age, rate, bound, *counters.values())

    def _flashes(self) -> Iterator[Metric]:
        tallies = self._board.tallies
        flashes = CounterMetricFamily(
            "lightning_flashes",
            "Flashes that came into a state since the page began.",
            labels=["site", "camera", "state"],
        )
        for (site, camera, state), count in sorted(tallies.flashes.items()):
            flashes.add_metric([site, camera, state], count)
        yield flashes
        yield _histogram(
            "lightning_detected_latency_seconds", "From a frame's arrival to `detected`.", tallies.detected
        )
        yield _histogram(
            "lightning_verdict_latency_seconds", "From the last frame of a flash to its verdict.", tallies.verdicts
        )
        yield _histogram(
            "lightning_verdict_probability", "Probability of lightning in verdicts.", tallies.probabilities
        )
        storm = self._board.storms.state(time.time())
        yield GaugeMetricFamily("lightning_storm", "1 while a storm is on.", value=float(storm.on))
        last = GaugeMetricFamily("lightning_last_flash_timestamp_seconds", "When the last confirmed flash was.")
        if storm.last is not None:
            last.add_metric([], storm.last)
        yield last

    def _feeds(self) -> Iterator[Metric]:
        now = time.monotonic()
        up = GaugeMetricFamily("lightning_feed_up", "1 while the feed is heard.", labels=["site"])
        sequence = GaugeMetricFamily("lightning_feed_sequence", "Number of the last message.", labels=["site"])
        durable = GaugeMetricFamily("lightning_feed_durable", "1 while the journal is written.", labels=["site"])
        free = GaugeMetricFamily("lightning_free_bytes", "Free on the disk written to.", labels=["site", "what"])
        waiting = GaugeMetricFamily(
            "lightning_verifier_waiting_candidates", "Candidates without a verdict.", labels=["site"]
        )
        for name, site in sorted(self._board.sites.items()):
            up.add_metric([name], float(not site.away(now)))
            sequence.add_metric([name], site.sequence)
            durable.add_metric([name], float(site.durable))
            disks = site.status.get("free_mb")
            for kind, megabytes in disks.items() if isinstance(disks, dict) else ():
                if isinstance(megabytes, int):
                    free.add_metric([name, kind], megabytes * 1e6)
            told = site.status.get("verifier")
            if isinstance(told, dict) and isinstance(told.get("waiting"), int):
                waiting.add_metric([name], told["waiting"])
        yield from (up, sequence, durable, free, waiting)


def _histogram(name: str, text: str, by_site: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["site"])
    for site, histogram in sorted(by_site.items()):
        family.add_metric([site], buckets=histogram.buckets(), sum_value=histogram.total)
    return family


def metrics_text(board: Board) -> bytes:
    """Return the exposition of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board))
    return generate_latest(registry)
