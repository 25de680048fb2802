"""Frames that broke apart along their coded blocks: told from every light, also from coarsely coded ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.verify.photometric.block_edges import block_edge_share, broke_apart
from detector.verify.photometric.lost_detail import detail_kept
from helpers.candidates import candidate
from helpers.media import Clip, make_clip
from stream import Frame

HEIGHT, WIDTH, BLOCK = 180, 320, 16
DAMAGED, SOUND = 0.012, 0.008
Levels = NDArray[np.float64]
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
GLOW = np.exp(-(((X - 200) / 90) ** 2) - ((Y - 30) / 50) ** 2)
LIGHTS = {
    "sheet": 60.0 + 0 * GLOW,
    "glow": 80 * GLOW,
    "behind land": np.where(Y < 112, 50.0, 0),
    "rolling shutter on the grid": np.where(Y >= 96, 50.0, 0),
    "between black bars": np.where((Y >= 16) & (Y < 160), 50.0, 0),
    "bolt": np.where(np.abs(X - 160 - 10 * np.sin(Y / 9)) < 4, 150.0, 0) + 30 * GLOW,
}


def scene(number: int, noise: float = 2) -> Levels:
    """A dark sky over brighter land with windows, and noise of its own for each frame."""
    levels = np.full((HEIGHT, WIDTH), 40.0) + np.linspace(0, 20, HEIGHT)[:, None]
    levels[120:] += 30
    levels[130:170:8, 20:300:14] = 180
    return levels + np.random.default_rng(number).normal(0, noise, levels.shape)


def garbage(share: float) -> Levels:
    """Wrong levels in this share of the blocks, which are 16 to 64 pixels wide and high."""
    dice = np.random.default_rng(5)
    wrong = np.zeros((HEIGHT, WIDTH))
    for row in range(0, HEIGHT, 32):
        for column in range(0, WIDTH, 32):
            if dice.random() < share:
                wrong[row : row + 32, column : column + 32] = dice.normal(25, 25)
    return wrong


def frame_of(levels: Levels, number: int = 0) -> Frame:
    luma = np.clip(levels, 0, 255).astype(np.uint8)
    return Frame(
        camera="roof", number=number, seconds=number / 25, duration=0.04, luma=luma, black=16, white=235, arrival=0.0,
        color=lambda _: np.zeros((1, 1, 3), np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_wrong_levels_in_coded_blocks_are_seen(share: float) -> None:
    assert block_edge_share(frame_of(scene(1) + garbage(share)), frame_of(scene(0))) > DAMAGED


@pytest.mark.parametrize("kind", LIGHTS)
def test_no_light_is_taken_for_damage(kind: str) -> None:
    assert block_edge_share(frame_of(scene(1) + LIGHTS[kind]), frame_of(scene(0))) < SOUND


@pytest.mark.parametrize("noise", [6, 12, 20])
def test_the_noise_of_a_camera_at_night_is_not_taken_for_damage(noise: float) -> None:
    pairs = [(frame_of(scene(2 * at + 1, noise)), frame_of(scene(2 * at, noise))) for at in range(20)]
    assert max(block_edge_share(now, before) for now, before in pairs) < SOUND


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_wrong_levels_are_seen_through_the_noise_of_a_camera_at_night(share: float) -> None:
    assert block_edge_share(frame_of(scene(1, 6) + garbage(share)), frame_of(scene(0, 6))) > DAMAGED


@pytest.mark.parametrize("codec", ["libvpx", "libx265", "mpeg4", "libx264"])
def test_a_flash_that_is_coded_in_a_few_bits_is_not_taken_for_damage(codec: str, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "few.mkv",
        Clip(seconds=1, size=(320, 180), codec=codec, flashes=(12, 13), bits_per_second=150_000, options={}),
    )
    with av.open(str(clip)) as container:
        frames = [frame_of(frame.to_ndarray(format="gray").astype(float)) for frame in container.decode(video=0)]
    lit = [at for at, frame in enumerate(frames) if at and frame.luma.mean() > frames[at - 1].luma.mean() + 10]
    assert lit
    assert max(block_edge_share(frames[at], frames[at - 2]) for at in lit) < SOUND


@pytest.mark.parametrize("place", [0.15, 0.3, 0.5])
def test_a_key_frame_whose_bits_are_damaged_is_seen_though_no_decoder_complains(place: float, tmp_path: Path) -> None:
    houses = np.kron(np.random.default_rng(9).normal(90, 30, (HEIGHT // 20, WIDTH // 20)), np.ones((20, 20)))
    path = tmp_path / "vp8.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libvpx", rate=25, options={"deadline": "realtime", "g": "10"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 2_000_000
        for number in range(21):
            levels = np.clip(houses + np.random.default_rng(number).normal(0, 2, houses.shape), 0, 255)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(levels.astype(np.uint8), "gray")))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        key = [at for at, packet in enumerate(packets) if packet.is_keyframe][1]
        damaged = bytearray(bytes(packets[key]))
        damaged[round(len(damaged) * place)] ^= 0xFF
        decoder: Any = container.streams.video[0].codec_context
        before = [frame for packet in packets[:key] for frame in decoder.decode(packet)][-1]
        after = decoder.decode(av.Packet(bytes(damaged)))[0]
    first, second = (frame_of(frame.to_ndarray(format="gray").astype(float)) for frame in (before, after))
    assert block_edge_share(second, first) > DAMAGED or detail_kept(second, first) < 0.2


def test_a_candidate_without_a_frame_before_it_is_not_judged() -> None:
    whole = replace(candidate(), onset=frame_of(scene(1) + garbage(0.5)), before=frame_of(scene(0)))
    assert broke_apart(whole)
    assert not broke_apart(replace(whole, before=None))
    assert not broke_apart(replace(whole, onset=replace(whole.onset, unfiltered=True)))
