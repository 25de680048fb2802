"""Typed settings with their defaults, one class per section; TOML tables that override them are checked.

The text under a field is its comment in configs/default.toml, which tools/default_settings.py writes from this file; a
field without one shares that of the field above it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from detector.errors import SettingsError
from stream import CaptureOptions

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def packaged_file(name: str) -> Path:
    """Return the path of a file of configs/: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return (inside if inside.is_dir() else Path(__file__).parent.parent / "configs") / name


DEFAULT_SETTINGS = packaged_file("default.toml")
"""The file with every setting, its default and its unit; for people, the program does not read it."""

NAME_PATTERN = r"^[a-z0-9-]{1,32}$"
"""Names of sites and cameras, as topics and ids allow."""

PositiveSeconds = Annotated[float, Meta(gt=0, le=3600)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
BUILT_IN_VERIFIERS = ("auto", "none", "photometric", "minicpm", "served", "photometric+minicpm", "fused")
SERVER_VERIFIERS = ("auto", "served", "fused")
"""Verifiers that ask the model server at `served.endpoint`, if there is one."""
VERIFIER_GROUP = "lightning_detector.verifiers"
"""Entry points of this group in other packages are verifiers: callables with the Settings as argument."""
PictureName = Literal["before", "onset", "peak", "after", "difference", "closeup", "composite"]
_PICTURES: tuple[PictureName, ...] = ("before", "peak", "after", "difference", "closeup")


def installed_verifiers() -> dict[str, "EntryPoint"]:
    """Return the verifiers that other packages offer, by name; none is imported."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and hardly ever needed

    return {point.name: point for point in entry_points(group=VERIFIER_GROUP)}


def check_verifier_name(name: str) -> None:
    """Check that `name` is a known verifier.

    Raises:
        ValueError: there is no verifier of that name; the message lists the known ones.
    """
    if name in BUILT_IN_VERIFIERS:
        return
    others = installed_verifiers()
    if name not in others:
        found = f"of other packages: {', '.join(sorted(others))}" if others else "no other package offers one"
        raise ValueError(f"verifier.kind {name!r} must be one of {', '.join(BUILT_IN_VERIFIERS)}; {found}")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the settings file; every field has its default here."""


class PrefilterSettings(Section, frozen=True, kw_only=True):
    """Thresholds for candidates."""

    gap_seconds: Annotated[float, Meta(gt=0, le=10)] = 0.5
    """A flash is over when it has been dark for this long; pulses closer than this belong to one flash."""
    step_seconds: Annotated[float, Meta(gt=0, le=1)] = 0.05
    """Light is sudden if most of it came within this time (at low frame rates: since the previous frame)."""
    min_rise_levels: Annotated[float, Meta(gt=0, le=255)] = 3.0
    """A block is lit if it rises by at least this many levels (of 0..255) above its background, ..."""
    noise_factor: Annotated[float, Meta(ge=0, le=100)] = 4.0
    """... by this many times its own noise (standard deviation of the block's mean), ..."""
    swing_factor: Annotated[float, Meta(ge=0, le=100)] = 1.2
    """... and by this many times its largest recent change without a flash (rain, traffic, flickering lamps)."""
    min_lit_fraction: Fraction = 0.01
    """Least share of the watched frame that is lit."""
    min_positivity: Fraction = 0.9
    """Least share of rises in all noticeable changes: motion darkens some places, added light none."""
    min_fine_positivity: Fraction = 0.9
    """The same at five times finer detail, around the lit blocks; 0.1 less if a tenth of the frame lights up."""
    noise_memory_seconds: PositiveSeconds = 3.0
    """A camera's noise and largest recent change are remembered for about this long."""
    warm_up_seconds: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """Thresholds are up to twice as strict for this long after opening, a reconnect or a cut."""
    max_candidate_seconds: PositiveSeconds = 10.0
    """A candidate is closed after this long; light that continues is a new candidate."""


class VerifierSettings(Section, frozen=True, kw_only=True):
    """The verifier that judges candidates."""

    kind: str = "auto"
    """auto (fused if there is a model on a GPU or a model server, else photometric), none, photometric, fused,
    minicpm, served, photometric+minicpm, or the name of another package's verifier."""

    def __post_init__(self) -> None:
        check_verifier_name(self.kind)


class PhotometricSettings(Section, frozen=True, kw_only=True):
    """Thresholds of the photometric verifier."""

    threshold: Fraction = 0.5
    """Lightning from this probability on, ..."""
    damaged_threshold: Fraction = 0.8
    """... and from this one if frames may be damaged (packet loss makes false flashes)."""


class BatcherSettings(Section, frozen=True, kw_only=True):
    """How candidates of all cameras share a slow verifier."""

    batch_size: Annotated[int, Meta(ge=1, le=64)] = 8
    """How candidates of all cameras share one slow verifier (a model). A batch closes when it holds `batch_size`
    candidates or its oldest has waited `batch_wait_ms`."""
    batch_wait_ms: Annotated[float, Meta(ge=0, le=60_000)] = 200.0
    largest_batch: Annotated[int, Meta(ge=0, le=256)] = 0
    """While many wait, a batch takes up to this many; 0: 32 for a model on a GPU, else no more than `batch_size`."""
    deadline_seconds: PositiveSeconds = 30.0
    """A live candidate that has waited longer is published as unverified; its late verdict still follows."""
    stuck_seconds: PositiveSeconds = 1800.0
    """A verifier that is silent for longer inside one call counts as stuck, and is not waited for any more."""
    waiting_limit: Annotated[int, Meta(ge=1, le=4096)] = 64
    """The most waiting candidates. Beyond it files wait, and live cameras' oldest are published as unverified."""
    picture_side_pixels: Annotated[int, Meta(ge=64, le=2048)] = 640
    """Largest side of frames kept by waiting candidates, so that they need little memory."""


class QuestionSettings(Section, frozen=True, kw_only=True):
    """What a model is shown and asked."""

    prompt: str = "shipped"
    """The images and the question for a model (minicpm and served). "shipped", or your own file in the same form."""
    pictures: Annotated[tuple[PictureName, ...], Meta(min_length=1, max_length=7)] = _PICTURES
    """Any of before, onset, peak, after, difference (peak minus before, amplified), closeup (of a small light, in the
    frame's own resolution), composite (before, peak and after as red, green and blue), in the order shown. An image
    that repeats another is left out."""
    crop: Literal["none", "lit"] = "none"
    """none: whole frames. lit: only the lit region with a margin."""
    temperature: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """probability = 1 / (1 + exp(-(log_odds - bias) / temperature)); `lightning-detector calibrate` fits both."""
    bias: Annotated[float, Meta(ge=-100, le=100)] = 0.0
    calibrated_for: str = ""
    """What they were fitted for, as `calibrate` prints it; empty: not fitted. A mismatch is logged at start."""
    threshold: Fraction = 0.5
    """Lightning from this probability on."""
    min_answer_mass: Fraction = 0.1
    """If "Yes" and "No" together have less probability, the model did not answer the question: unverified."""


class MinicpmSettings(Section, frozen=True, kw_only=True):
    """The local MiniCPM-V model."""

    model: Annotated[str, Meta(min_length=1)] = "openbmb/MiniCPM-V-4.6"
    """A model id of configs/models.toml, another id of the same kind, or a folder that holds a snapshot."""
    revision: str = ""
    """40-digit commit; empty: the one in configs/models.toml. MINICPM_REVISION and --model-revision win over it."""
    channel: Literal["stable", "edge"] = "stable"
    """stable: pinned and offline. edge: the newest commit of the branch main, fetched at start."""
    device: Annotated[str, Meta(pattern=r"^(auto|(cpu|cuda(:[0-9]+)?)( *, *(cpu|cuda(:[0-9]+)?))*)$")] = "auto"
    """auto (a GPU if there is one), cpu, cuda or cuda:N; several with commas ("cuda:0,cuda:1") have a worker each."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto (by the device), fp32, bf16 or fp16."""
    attention: Annotated[str, Meta(min_length=1)] = "sdpa"
    """sdpa, eager, flash_attention_2, ...; `lightning-detector doctor` shows which work here."""
    downsample_mode: Literal["16x", "4x"] = "16x"
    """16x: 64 tokens an image. 4x: 256 tokens, about twice the work in the vision part."""
    picture_side_pixels: Annotated[int, Meta(ge=112, le=1120)] = 448
    """Images are scaled to the area of a square of this side. 224 costs a quarter of 448."""
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    """CPU threads of each of the model's workers; 0: half of the cores for all, so that decoding has the rest."""
    load_limit_seconds: PositiveSeconds = 600.0
    """A model that is not ready, or a batch without an answer, is given up after this time: the process is
    restarted, and the batch is asked once more."""
    answer_limit_seconds: PositiveSeconds = 300.0


class Minicpm45Settings(Section, frozen=True, kw_only=True):
    """MiniCPM-V 4.5, as `serve-45` runs it."""

    model: Annotated[str, Meta(min_length=1)] = "openbmb/MiniCPM-V-4_5"
    """What `lightning-detector serve-45` serves: a model id of configs/models.toml, or a folder with a snapshot."""
    revision: str = ""
    """40-digit commit; empty: the one in configs/models.toml. MINICPM_REVISION and --model-revision win over it."""
    channel: Literal["stable", "edge"] = "stable"
    """stable: pinned and offline. edge: the newest commit of the branch main, fetched at start."""
    environment: str = ""
    """Folder of the second environment; empty: lightning-detector/minicpm45 in the user's data folder."""
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    """auto (a GPU if there is one), cpu, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto (by the device), fp32, bf16 or fp16. The weights take 18 GB in 16 bit, 35 GB in fp32."""
    attention: Literal["sdpa", "flash_attention_2"] = "sdpa"
    """sdpa or flash_attention_2; the model's vision part supports no other."""
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    """CPU threads; 0: half of the cores."""
    pack_frames: Annotated[int, Meta(ge=1, le=6)] = 1
    """Images that share 64 tokens, 1 to 6. Packing saves tokens of the language model (14 GFLOP each), not work on
    the images (1050 GFLOP each): 4 single images cost about 9.3 TFLOP, 6 packed by 3 about 9.5. Packs lose detail,
    and packed questions of a batch share only the language model's pass."""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    """Address of the server. Any other address than loopback needs a key."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8045
    key_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "LIGHTNING_MODEL_KEY"
    """Environment variable with the key that requests must contain; no key is required if it is empty."""
    batch_size: Annotated[int, Meta(ge=1, le=64)] = 4
    """Questions scored together; a batch waits this long to fill."""
    batch_wait_ms: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    waiting_limit: Annotated[int, Meta(ge=1, le=1024)] = 32
    """Questions that may wait; further ones are refused with 503, and clients retry later."""
    request_limit_mb: Annotated[float, Meta(gt=0, le=1000)] = 16.0
    """The largest request and the most images in one."""
    pictures_limit: Annotated[int, Meta(ge=1, le=64)] = 16
    answer_limit_seconds: PositiveSeconds = 120.0
    """A question without an answer within this time is given up with 504."""


class ServedSettings(Section, frozen=True, kw_only=True):
    """The model server of `served`."""

    endpoint: str = ""
    """Base URL of a server that speaks the OpenAI chat protocol, e.g. http://127.0.0.1:8000/v1; several with a comma
    between them, all with the same model: the least loaded is asked, one that fails is left out and tried again."""
    model: str = ""
    """The model's name there; empty: the first that the server lists."""
    key_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "LIGHTNING_MODEL_KEY"
    """Environment variable with the server's key, if it needs one."""
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 4
    """Requests at the same time, to each server."""
    timeout_seconds: PositiveSeconds = 60.0
    """Time limit of one request, including its whole answer; failed requests are retried this often."""
    retries: Annotated[int, Meta(ge=0, le=10)] = 3
    answer_limit_mb: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """A larger answer (10^6 bytes) is not read; a usual one has some kilobytes."""
    extra_json: str = '{"chat_template_kwargs": {"enable_thinking": false}}'
    """A JSON object added to every request."""


class CascadeSettings(Section, frozen=True, kw_only=True):
    """The photometric probabilities between which a candidate is doubtful and is passed to the model."""

    reject_below: Fraction = 0.1
    """photometric+minicpm: candidates below or above these are clear; only those between go to the model. fused:
    those below or above are published at once."""
    confirm_above: Fraction = 0.9

    def __post_init__(self) -> None:
        if self.reject_below > self.confirm_above:
            raise ValueError(f"reject_below {self.reject_below} must not exceed confirm_above {self.confirm_above}")


class FusedSettings(Section, frozen=True, kw_only=True):
    """The weights with which `fused` adds the log-odds of the photometric verifier and of the model."""

    photometric_weight: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """log-odds = photometric_weight * photometric log-odds + model_weight * the model's + bias; `lightning-detector
    calibrate` fits the three on labelled flashes that `fused` judged."""
    model_weight: Annotated[float, Meta(ge=0, le=100)] = 1.0
    bias: Annotated[float, Meta(ge=-100, le=100)] = 0.0
    calibrated_for: str = ""
    """What they were fitted for, as `calibrate` prints it. If it does not match, the photometric verifier decides
    candidates of which it is sure, and the model decides the rest."""
    threshold: Fraction = 0.5
    """Lightning from this probability on, if both decide."""


class EvidenceSettings(Section, frozen=True, kw_only=True):
    """The media of each flash in a run's folder."""

    clips: bool = True
    """With --out: whether clips of flashes are kept, from this long before a flash, or from the key frame before that,
    to this long after it, with their sound. They are copied unchanged, or re-encoded if no browser would play them;
    flashes whose clips would overlap share one."""
    reencode_hevc: bool = False
    """Whether clips of H.265 are re-encoded, too (H.264, 8 bits): more computers play them, but it takes as long as
    the clips last, and quality and HDR are lost. Otherwise they are copied as the camera made them."""
    before_seconds: Annotated[float, Meta(ge=0, le=60)] = 2.0
    after_seconds: Annotated[float, Meta(ge=0, le=60)] = 2.0
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0
    """Stills and clips written longer ago are removed; 0: they are kept forever. Beyond this size (10^6 bytes; 0: no
    limit) the oldest are removed first, of unverified flashes before confirmed ones; the newest always stays."""
    keep_megabytes: Annotated[float, Meta(ge=0, le=1e9)] = 20_000.0
    curve_megabytes: Annotated[float, Meta(ge=0, le=1e9)] = 1000.0
    """Light curves of `watch` are a file a month: beyond this size (10^6 bytes; 0: no bound) the oldest months go, and
    those that ended `keep_days` ago; the newest always stays. A camera takes some 20 MB a month."""


class SiteSettings(Section, frozen=True, kw_only=True):
    """The place of the cameras; the site's name is feed.site."""

    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    """Degrees north and east (negative: south and west), for the EXIF data of stills; without them none is written."""
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    timezone: str = ""
    """Time zone of local times, e.g. "Europe/Vienna"; empty: this computer's."""

    def __post_init__(self) -> None:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude belong together: give both or neither")
        if self.timezone:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"timezone {self.timezone!r} is not known; write for example Europe/Vienna") from None


class FeedSettings(Section, frozen=True, kw_only=True):
    """Publication of events."""

    site: Annotated[str, Meta(pattern=NAME_PATTERN)] = "site"
    """This site's name, in every message's `source`."""
    heartbeat_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """Seconds between heartbeats."""
    endpoint: Annotated[str, Meta(pattern=r"^tcp://[^\s]+:[0-9]+$")] = "tcp://127.0.0.1:5556"
    """Address on which `watch` publishes unless --publish is given; history takes the port one up."""
    journal: str = ""
    """File that keeps the messages; empty: the last 64 MB (10^6 bytes) are kept in memory, and lost on a restart."""
    keep_days: Annotated[float, Meta(gt=0, le=36_500)] = 30.0
    """Messages that are older, or beyond this size of the journal (10^6 bytes), are deleted, oldest first."""
    keep_megabytes: Annotated[float, Meta(ge=1, le=1_000_000)] = 1000.0
    keys: str = ""
    """Folder with the keys (`lightning-detector keys`); empty: any program on this machine may subscribe."""
    send_queue_messages: Annotated[int, Meta(ge=10, le=100_000)] = 1000
    """Messages that may wait for one slow subscriber; it fetches further ones from the history."""
    requests_per_second: Annotated[float, Meta(ge=1, le=10_000)] = 50.0
    """Average rate of one client's requests to the history; twice as many at once."""
    max_connections: Annotated[int, Meta(ge=10, le=10_000)] = 500
    """Most open connections, on both ports together (a subscriber has two); beyond it the address or key with
    most of them loses the one that was silent longest."""
    farewell_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.0
    """After the end of a run its history is still served for this long, so that subscribers miss nothing."""


class StormSettings(Section, frozen=True, kw_only=True):
    """The begin and the end of a storm."""

    begin_count: Annotated[int, Meta(ge=1, le=1000)] = 2
    """A storm begins with this many confirmed flashes, one seen by several cameras counted once, ..."""
    begin_minutes: Annotated[float, Meta(gt=0, le=1440)] = 10.0
    """... within this time, ..."""
    quiet_minutes: Annotated[float, Meta(gt=0, le=1440)] = 30.0
    """... and ends this long after its last flash."""
    count_unverified: bool = False
    """Whether unverified flashes count, too."""


class PageSettings(Section, frozen=True, kw_only=True):
    """The live page."""

    listen: Annotated[str, Meta(pattern=r"^\S+:[0-9]{1,5}$")] = "127.0.0.1:8046"
    """Address on which `page` and `watch --page` serve browsers. Any other address than loopback needs a token."""
    token_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "LIGHTNING_PAGE_TOKEN"  # noqa: S105 - a name
    """Environment variable with the token that browsers and scrapers must present; none is required if it is empty."""
    hosts: tuple[str, ...] = ()
    """Further host names of the page, e.g. of a proxy; IP addresses and localhost are always allowed."""
    key: str = ""
    """Client key file with which the page of `watch --page` reads a feed that has keys."""
    snapshot_seconds: Annotated[float, Meta(ge=0, le=3600)] = 4.0
    """With --out, `watch` writes a small image of each camera into the run's folder at this interval; 0: never."""
    snapshot_side_pixels: Annotated[int, Meta(ge=64, le=1920)] = 480
    """The longer side of these images."""


AlertKind = Literal[
    "first_flash",
    "storm_began",
    "storm_ended",
    "camera_down",
    "camera_back",
    "site_down",
    "site_back",
    "disk_low",
]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
"""What `notify` can tell of."""


class NotifySettings(Section, frozen=True, kw_only=True):
    """Messages to people."""

    on: tuple[AlertKind, ...] = ALERT_KINDS
    """What is told of: a first flash after storm.quiet_minutes without one, storms, cameras and the watching program
    (site) going and coming back, and a disk that is nearly full."""
    cooldown_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 300.0
    """Between two messages of one kind about the same camera or site; what happens meanwhile waits."""
    messages_per_hour: Annotated[int, Meta(ge=1, le=1000)] = 10
    """One target gets so many in any hour; the rest wait, and go as one."""
    quiet_hours: Annotated[str, Meta(pattern=r"^([0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9])?$")] = ""
    """Local time (of site.timezone) in which nothing is sent, e.g. "22:00-07:00"; what waits goes as one after it."""
    camera_down_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    """A camera is told to be down, and a program to be away, after so long."""
    site_down_seconds: Annotated[float, Meta(ge=5, le=86_400)] = 60.0
    disk_low_mb: Annotated[float, Meta(ge=0, le=1e9)] = 1000.0
    """A disk with less than this left (10^6 bytes) is told of; 0: none is."""


class MqttSettings(Section, frozen=True, kw_only=True):
    """The MQTT bridge."""

    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "lightning"
    """Start of every topic of `mqtt`."""
    discovery_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "homeassistant"
    """Topic under which Home Assistant looks for devices; its own setting of that name must be equal."""
    version: Literal["5", "3.1.1"] = "5"
    """Version of MQTT; with 5 the broker reports refused messages, 3.1.1 is for brokers that support no other."""


class Settings(Section, frozen=True, kw_only=True):
    """All settings."""

    capture: CaptureOptions = CaptureOptions()
    prefilter: PrefilterSettings = PrefilterSettings()
    verifier: VerifierSettings = VerifierSettings()
    photometric: PhotometricSettings = PhotometricSettings()
    batcher: BatcherSettings = BatcherSettings()
    question: QuestionSettings = QuestionSettings()
    minicpm: MinicpmSettings = MinicpmSettings()
    minicpm45: Minicpm45Settings = Minicpm45Settings()
    served: ServedSettings = ServedSettings()
    cascade: CascadeSettings = CascadeSettings()
    fused: FusedSettings = FusedSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    site: SiteSettings = SiteSettings()
    feed: FeedSettings = FeedSettings()
    storm: StormSettings = StormSettings()
    page: PageSettings = PageSettings()
    mqtt: MqttSettings = MqttSettings()
    notify: NotifySettings = NotifySettings()


def read_table(path: Path) -> dict[str, Any]:
    """Return the TOML file at `path` as a table.

    Raises:
        SettingsError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the settings file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def parse_override(text: str) -> dict[str, Any]:
    """Return `section.key=value` (a TOML value; a bare word counts as text) as a table.

    Raises:
        SettingsError: it is not of that form.
    """
    key, equals, value = text.partition("=")
    words = key.strip().split(".")
    if not equals or len(words) < 2 or not all(words):
        raise SettingsError(f"--set {text!r}: expected section.key=value, e.g. prefilter.gap_seconds=0.4")
    try:
        table: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table = value.strip()
    for word in reversed(words):
        table = {word: table}
    return dict(table)


def load_settings(tables: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> Settings:
    """Return the defaults, overridden by each of `tables` (its source, its content) in order.

    Raises:
        SettingsError: a key is unknown or a value is wrong; the message names source, key, value and what is allowed.
    """
    settings = Settings()
    merged: Mapping[str, Any] = msgspec.to_builtins(settings)
    failure: SettingsError | None = None
    for origin, table in tables:
        merged = _merge(merged, table)
        try:
            settings = checked_settings(origin, merged)
        except SettingsError as error:  # a later table may bring what belongs to it: a latitude and a longitude
            failure = failure or error
        else:
            failure = None
    if failure is not None:
        raise failure
    return settings


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def checked_settings(origin: str, table: Mapping[str, Any]) -> Settings:
    """Return a whole `table` as settings; `origin` says where it came from.

    Raises:
        SettingsError: a key is unknown or a value is wrong; names the source, the key, the value and what is allowed.
    """
    try:
        return msgspec.convert(table, Settings, strict=True)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {_explain(str(error), table)}") from error


def in_words(complaint: str) -> str:
    """Return an error message of msgspec without the pattern of a name."""
    return complaint.replace(f"`str` matching regex '{NAME_PATTERN}'", "1 to 32 of a-z, 0-9 and '-'")


def _explain(message: str, table: Mapping[str, Any]) -> str:
    """Return the error message of msgspec, with the key as users write it and the given value."""
    what, _, where = in_words(message).partition(" - at `$")
    path = where.strip("`.")
    unknown = re.search(r"unknown field `(.+?)`", what)
    if unknown:
        key = f"{path}.{unknown[1]}".strip(".")
        return f"unknown setting '{key}'; {DEFAULT_SETTINGS} lists every setting"
    value: Any = table
    for word in path.split(".") if path else []:
        value = value.get(word) if isinstance(value, Mapping) else None
    choices = _choices(path) if "enum" in what else None
    return f"{path} = {value!r}: " + (f"must be one of {choices}" if choices else f"{what[:1].lower()}{what[1:]}")


def _choices(path: str) -> str | None:
    """Return the words allowed for the setting at `path`, or None if it is not a choice of words."""
    kind: Any = msgspec.inspect.type_info(Settings)
    for word in path.split("."):
        if not isinstance(kind, msgspec.inspect.StructType):
            return None
        kind = next((field.type for field in kind.fields if field.encode_name == word), None)
    return ", ".join(map(str, kind.values)) if isinstance(kind, msgspec.inspect.LiteralType) else None
