"""Recordings made of images: folders, at the times of names or EXIF data, and animations."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from stream import CaptureOptions, OpenError, VideoError, load_opencv, open_video
from stream.capture.files.image_times import exif_time, name_time

cv2 = load_opencv()


def image(number: int, size: tuple[int, int] = (64, 36), depth: type = np.uint8) -> np.ndarray:
    """A grey image whose level is `number`, as a share of 255."""
    return np.full((size[1], size[0], 3), number, depth) * (257 if depth is np.uint16 else 1)


def write(path: Path, number: int, taken: str | None = None, subseconds: str = "") -> Path:
    """An image at `path`, with the time it was taken in its EXIF data."""
    good, data = cv2.imencode(path.suffix, image(number))
    assert good
    coded = data.tobytes()
    if taken is not None:
        coded = coded[:2] + exif(taken, subseconds) + coded[2:]
    path.write_bytes(coded)
    return path


def exif(taken: str, subseconds: str) -> bytes:
    """The EXIF segment of a JPEG."""
    texts = {0x9003: taken.encode() + b"\0", 0x9011: b"+02:00\0", 0x9291: subseconds.encode() + b"\0"}
    texts = {tag: text for tag, text in texts.items() if len(text) > 1}
    begin = 8 + 2 + 12 + 4
    place = begin + 2 + 12 * len(texts) + 4
    entries, data = b"", b""
    for tag, text in texts.items():
        value = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack("<I", place + len(data))
        data += text if len(text) > 4 else b""
        entries += struct.pack("<HHI", tag, 2, len(text)) + value
    body = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, begin, 0)
    body += struct.pack("<H", len(texts)) + entries + struct.pack("<I", 0) + data
    segment = b"Exif\0\0" + body
    return b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("image-20261122212903.jpg", 3.0),
        ("allsky_2026-11-22_21-29-03.250.png", 3.25),
        ("IMG_20261122_212903_5.jpg", 3.5),
        ("cam1.20261122T212903.jpg", 3.0),
        ("2026-11-22 21.29.03.jpg", 3.0),
    ],
)
def test_the_time_in_a_name_is_read(name: str, seconds: float) -> None:
    midnight = 1795305600.0  # 2026-11-22T00:00:00Z
    assert name_time(Path(name)) == pytest.approx(midnight + 21 * 3600 + 29 * 60 + seconds)


@pytest.mark.parametrize("name", ["img_0001.jpg", "20269922212903.jpg", "sky.png", "123456789012345678.jpg"])
def test_digits_that_are_no_time_are_not_read_as_one(name: str) -> None:
    assert name_time(Path(name)) is None


def test_seconds_since_1970_in_a_name_are_read() -> None:
    assert name_time(Path("snap-1795382943.500.jpg")) == pytest.approx(1795382943.5)


def test_exif_data_tells_the_time_with_its_fraction_and_zone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", 1, "2026:11:22 23:29:03", "25")
    assert exif_time(path) == pytest.approx(1795305600.0 + 21 * 3600 + 29 * 60 + 3.25)
    assert exif_time(write(tmp_path / "b.jpg", 1)) is None
    (tmp_path / "c.jpg").write_bytes(path.read_bytes()[:60])
    assert exif_time(tmp_path / "c.jpg") is None


def test_a_folder_of_images_is_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    for second in (10, 0, 20, 31):
        write(tmp_path / f"sky_20261122_2129{second:02}.jpg", second)
    (tmp_path / "notes.txt").write_text("no image")
    with open_video(tmp_path, start_utc=1000.0) as video:
        for _ in range(2):
            frames = list(video)
            assert [f.seconds for f in frames] == [0, 10, 20, 31]
            assert [round(float(f.levels(f.luma).mean())) for f in frames] == [0, 10, 20, 31]
            assert [f.utc for f in frames] == [1000, 1010, 1020, 1031]
            assert {f.epoch for f in frames} == {0}
        assert video.duration_seconds == 41


def test_exif_data_go_before_names(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"a-2026112221290{9 - number}.jpg", number, f"2026:11:22 10:00:0{number}")
    with open_video(tmp_path) as video:
        assert [round(float(f.levels(f.luma).mean())) for f in video] == [0, 1, 2]


def test_images_without_any_time_are_numbered_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        write(tmp_path / f"img{number}.png", number)
    with open_video(tmp_path) as video:
        assert [round(float(f.levels(f.luma).mean())) for f in video] == list(range(12))
    assert "times are their numbers" in caplog.text


def test_a_long_pause_and_another_size_begin_a_new_epoch(tmp_path: Path) -> None:
    for second in (0, 1, 2, 3, 40, 41):
        write(tmp_path / f"20261122_2129{second:02}.png", second)
    cv2.imwrite(str(tmp_path / "20261122_212942.png"), image(42, (80, 60)))
    with open_video(tmp_path) as video:
        assert [f.epoch for f in video] == [0, 0, 0, 0, 1, 1, 2]


def test_a_damaged_image_is_left_out_and_counted_at_the_end(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"\x89PNG broken")
    seen = []
    with open_video(tmp_path) as video, pytest.raises(VideoError, match="1 of 3 images could not be read"):
        seen.extend(video)
    assert len(seen) == 2


def test_sixteen_bit_images_have_the_same_levels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), image(100, depth=np.uint16))
    cv2.imwrite(str(tmp_path / "1.png"), image(100))
    with open_video(tmp_path) as video:
        frames = list(video)
    assert [round(float(f.levels(f.luma).mean())) for f in frames] == [100, 100]
    assert [int(f.rgb(32).mean()) for f in frames] == [100, 100]


def test_a_folder_without_images_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="is a folder without images"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".apng"])
def test_an_animation_is_read_to_its_end_at_its_own_times(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    animation = cv2.Animation()
    animation.frames = [image(number * 37 % 250) for number in range(75)]
    animation.durations = [40] * 75
    if suffix == ".apng":
        path = tmp_path / "a.png"
    assert cv2.imwriteanimation(str(path), animation)
    if suffix == ".apng":
        path = path.rename(tmp_path / "a.apng")
    with open_video(path) as video:
        frames = list(video)
    assert len(frames) == 75
    assert [f.seconds for f in frames] == pytest.approx([n * 0.04 for n in range(75)], abs=0.002)
    assert float(frames[60].levels(frames[60].luma).mean()) == pytest.approx(60 * 37 % 250, abs=6)


def test_a_still_webp_is_called_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.webp"), image(9))
    with pytest.raises(OpenError, match="is a still image"):
        open_video(tmp_path / "a.webp")


def test_parts_of_a_dump_over_http_are_read_to_the_last(tmp_path: Path) -> None:
    parts = []
    for number in range(20):
        _, data = cv2.imencode(".jpg", image(number * 10))
        parts.append(b"--box\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data.tobytes())
    whole = b"\r\n".join([*parts, b"--box--\r\n"])
    (tmp_path / "a.mpjpeg").write_bytes(whole)
    with open_video(tmp_path / "a.mpjpeg") as video:
        assert len(list(video)) == 20


def test_apng_of_ffmpeg_is_read_too(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.apng"), "w") as container:
        stream = container.add_stream("apng", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "rgb24"
        for number in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image(number * 20), format="rgb24")))
        container.mux(stream.encode(None))
    with open_video(tmp_path / "a.apng") as video:
        assert len(list(video)) == 10


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_of_too_many_pixels_is_not_decoded(suffix: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / f"0{suffix}"), image(5))
    cv2.imwrite(str(tmp_path / f"1{suffix}"), image(5, (400, 300)))
    options = CaptureOptions(max_pixels=100_000)
    seen = []
    with open_video(tmp_path, options=options) as video, pytest.raises(VideoError, match="1 of 2 images"):
        seen.extend(video)
    assert [frame.luma.shape for frame in seen] == [(36, 64)]
