"""Where a run's events go: the flags of publishing, and the feed's options made of them and of the settings."""

import argparse
from pathlib import Path

from detector.errors import UsageError
from detector.settings import Settings
from stream import FeedOptions

NOWHERE = "none"


def add_feed_arguments(parser: argparse.ArgumentParser, *, always: bool) -> None:
    """Add the flags of publishing. `always`: publish on `feed.endpoint` even without --publish, as `watch` does."""
    otherwise = "default: feed.endpoint of the settings; 'none' for nowhere" if always else "default: nowhere"
    group = parser.add_argument_group("publishing")
    group.add_argument(
        "--publish", metavar="ENDPOINT", help=f"publish events on tcp://HOST:PORT, history one port up ({otherwise})"
    )
    group.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="keep the numbered events in this file (default: feed.journal of the settings; without, only in memory)",
    )
    group.add_argument(
        "--keys", type=Path, metavar="DIR", help="admit only clients with a key in this folder (see: keys)"
    )
    group.add_argument(
        "--insecure", action="store_true", help="publish to other machines without keys: anyone there can read along"
    )
    parser.set_defaults(publish_always=always)


def feed_options(settings: Settings, arguments: argparse.Namespace) -> FeedOptions:
    """How this run publishes: the settings, with what the flags of `add_feed_arguments` say laid over them.

    Raises:
        UsageError: clients are to be admitted where nothing is published.
    """
    feed = settings.feed
    endpoint = arguments.publish or (feed.endpoint if arguments.publish_always else NOWHERE)
    if arguments.keys is not None and endpoint == NOWHERE:
        raise UsageError(f"--keys {arguments.keys}: nothing is published that could be read; add --publish ENDPOINT")
    return FeedOptions(
        site=feed.site,
        endpoint=None if endpoint == NOWHERE else endpoint,
        journal=_path(arguments.journal, feed.journal),
        heartbeat_seconds=feed.heartbeat_seconds,
        keep_days=feed.keep_days,
        keep_megabytes=feed.keep_megabytes,
        send_queue_messages=feed.send_queue_messages,
        requests_per_second=feed.requests_per_second,
        keys=_path(arguments.keys, feed.keys),
        insecure=arguments.insecure,
        farewell_seconds=feed.farewell_seconds,
    )


def _path(flag: Path | None, setting: str) -> Path | None:
    return flag or (Path(setting).expanduser() if setting else None)
