"""What a report says of a run: lanes, gaps, the numbers of the storm, what is missing."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from PIL import Image

from detector.errors import OutputError
from detector.events import FLASH_SCHEMA, FLASH_TOPIC, FLASH_TYPE, Flash, Media, event_schema
from detector.output.report.curves import CurveRecorder, FlashCurve
from detector.output.report.model import Report, make_report, spark_curve
from detector.output.report.source import read_run
from helpers.storms import START, MadeRun, made_clip, made_flash, made_frame, made_still, write_curve, write_flashes
from stream import FeedOptions, Publisher

BERLIN = ZoneInfo("Europe/Berlin")


def report_of(folder: Path, *flashes: Flash) -> Report:
    write_flashes(folder / "flashes.jsonl", list(flashes))
    return make_report(read_run(folder), BERLIN)


def test_each_flash_is_told_once_in_its_last_revision(tmp_path: Path) -> None:
    first = made_flash(5.0, state="detected")
    later = msgspec.structs.replace(first, state="confirmed", verdict=made_flash(5.0).verdict, revision=2)
    report = report_of(tmp_path, first, later)
    assert [one.flash.state for one in report.flashes] == ["confirmed"]


def test_the_files_of_several_months_are_one_storm(tmp_path: Path) -> None:
    write_flashes(tmp_path / "flashes-2026-06.jsonl", [made_flash(5.0)])
    write_flashes(tmp_path / "flashes-2026-07.jsonl", [made_flash(9.0)])
    assert len(make_report(read_run(tmp_path), BERLIN).confirmed) == 2


def test_a_folder_without_results_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no flashes\.jsonl in this folder; give the one that was named with --out"):
        read_run(tmp_path)


def test_only_flashes_of_the_time_asked_for_are_read(tmp_path: Path) -> None:
    write_flashes(tmp_path / "flashes.jsonl", [made_flash(at) for at in (5.0, 50.0, 500.0)])
    assert [flash.start_seconds for flash in read_run(tmp_path, START + 10, START + 500).flashes] == [50.0]


def test_a_flash_on_two_cameras_counts_once_and_two_of_one_camera_twice(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        made_flash(5.0, "ridge"),
        made_flash(5.2, "harbour"),
        made_flash(20.0, "ridge"),
        made_flash(20.3, "ridge"),
    )
    assert (report.summary.strikes, report.summary.pictures, report.summary.seen_twice) == (3, 4, 1)
    assert report.summary.sure_same is False


def test_seen_twice_is_said_only_where_the_clocks_have_bounds(tmp_path: Path) -> None:
    both = [
        made_flash(5.0 + late, camera, clock="rtcp", utc_error_ms=4.0) for camera, late in (("a", 0.0), ("b", 0.01))
    ]
    assert report_of(tmp_path, *both).summary.sure_same is True


def test_the_longest_gap_says_how_much_of_it_was_not_recorded(tmp_path: Path) -> None:
    flashes = [made_flash(5.0), made_flash(15.0), made_flash(5.0, "west-ridge-2", utc=START + 60)]
    write_curve(tmp_path, "west-ridge", 20.0, flashes)
    write_curve(tmp_path, "west-ridge-2", 20.0, flashes, utc=START + 60)
    summary = report_of(tmp_path, *flashes).summary
    assert summary.gap_seconds == pytest.approx(50.0)
    assert summary.gap_unrecorded == pytest.approx(40.0, abs=0.2)


def test_a_run_that_kept_no_curve_claims_nothing_of_what_was_watched(tmp_path: Path) -> None:
    report = report_of(tmp_path, made_flash(5.0), made_flash(50.0))
    assert report.summary.gap_unrecorded is None
    assert not report.timeline.watched


def test_the_busiest_minute_is_the_one_with_most_flashes(tmp_path: Path) -> None:
    summary = report_of(tmp_path, *(made_flash(at) for at in (5.0, 100.0, 130.0, 159.0, 161.0, 400.0))).summary
    assert (summary.busiest_count, summary.busiest_at - START) == (3, pytest.approx(100.0))
    assert summary.a_minute == pytest.approx(6 / (395 / 60))


def test_files_that_differ_in_a_counter_are_one_camera_unless_they_overlap(tmp_path: Path) -> None:
    one, two = (
        made_flash(5.0, "ridge-0001", file="ridge_0001.mp4"),
        made_flash(5.0, "ridge-0002", file="ridge_0002.mp4", utc=START + 90),
    )
    three = made_flash(9.0, "cam-2", file="cam_2.mp4")
    four = made_flash(8.0, "cam-1", file="cam_1.mp4")
    for flash, utc in ((one, START), (two, START + 90), (three, START), (four, START)):
        write_curve(tmp_path, flash.camera, 20.0, [flash], utc=utc, file=flash.file)
    assert set(report_of(tmp_path, one, two, three, four).timeline.lanes) == {"ridge", "cam-1", "cam-2"}


def test_recordings_without_a_clock_lie_one_after_the_other(tmp_path: Path) -> None:
    flashes = [made_flash(5.0, "a", file="a.mp4", utc=None), made_flash(3.0, "b", file="b.mp4", utc=None)]
    for flash in flashes:
        write_curve(tmp_path, flash.camera, 20.0, [flash], utc=None, file=flash.file)
    report = report_of(tmp_path, *flashes)
    assert not report.timeline.timed
    assert [round(one.at, 1) for one in report.flashes] == [5.0, 24.0]


def test_a_bolt_comes_before_a_glow_of_the_same_strength(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    glow = run.add(made_flash(5.0), still=True)
    bolts = [run.add(made_flash(at), still=True) for at in (20.0, 30.0, 40.0)]
    Image.new("RGB", (640, 360), (90, 90, 110)).save(tmp_path / str(glow.media.still))
    report = make_report(read_run(run.write()), BERLIN)
    assert [one.flash.id for one in report.confirmed][-1] == glow.id
    assert {one.flash.id for one in report.confirmed if one.reasons[0] == "bolt seen"} == {one.id for one in bolts}


def test_media_that_were_removed_are_told_apart_from_those_never_kept(tmp_path: Path) -> None:
    gone = msgspec.structs.replace(made_flash(5.0), media=Media(still="stills/gone.jpg", clip="../outside.mp4"))
    (tmp_path.parent / "outside.mp4").write_bytes(b"")
    never = made_flash(9.0)
    first, second = report_of(tmp_path, gone, never).flashes
    assert (first.still.path, first.still.removed, first.clip.path, first.clip.removed) == (None, True, None, True)
    assert (second.still.removed, second.clip.removed) == (False, False)


def test_the_onset_is_found_in_a_clip_of_which_nothing_is_known(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.add(made_flash(5.0), clip=True)
    (one,) = make_report(read_run(run.write()), BERLIN).flashes
    assert one.clip_facts is not None
    assert (one.clip_facts.start, one.clip_facts.rate) == (pytest.approx(-2.0, abs=0.041), 25)


def test_a_clip_that_cannot_be_read_costs_no_report(tmp_path: Path) -> None:
    made_still(tmp_path / "stills/a.jpg", 1)
    made_clip(tmp_path / "clips/a.mp4")
    (tmp_path / "clips/a.mp4").write_bytes(b"no video")
    flash = msgspec.structs.replace(made_flash(5.0), media=Media(still="stills/a.jpg", clip="clips/a.mp4"))
    (one,) = report_of(tmp_path, flash).flashes
    assert one.clip_facts is None


def test_rejected_lights_are_grouped_by_their_first_doubt_the_largest_group_first(tmp_path: Path) -> None:
    lamp = "it shone evenly, as lamps do (steadiness {}); its light is green (greenness 0.2)"
    slow = made_flash(1.0, state="rejected", reason="it grew slowly (suddenness 0.1)")
    lamps = [made_flash(at, state="rejected", reason=lamp.format(at / 10)) for at in (5.0, 9.0)]
    groups = report_of(tmp_path, slow, *lamps).groups
    assert [(group.doubt, len(group.flashes), group.also) for group in groups] == [
        ("it shone evenly, as lamps do", 2, ("its light is green",)),
        ("it grew slowly", 1, ()),
    ]


def test_a_small_far_flash_is_drawn_by_the_block_it_lit(tmp_path: Path) -> None:
    recorder = CurveRecorder(tmp_path, "west-ridge")
    for n in range(400):
        recorder.add(made_frame(n / 25), 20.0 + (0.1 if n == 125 else 0), 50.0 if n == 125 else 0.0, keep=n == 125)
    recorder.close()
    report = report_of(tmp_path, made_flash(5.0))
    curve = spark_curve(report.flashes[0], report.timeline)
    assert isinstance(curve, FlashCurve)
    assert curve.rise.max() == pytest.approx(50)


def test_a_journal_is_read_like_a_folder(tmp_path: Path) -> None:
    journal = tmp_path / "feed.journal"
    with Publisher(FeedOptions(site="site", journal=journal), schema=event_schema()) as feed:
        for state in ("detected", "confirmed"):
            flash = msgspec.structs.replace(made_flash(5.0), state=state, media=Media(still="stills/a.jpg"))
            feed.publish(
                topic=FLASH_TOPIC + flash.camera,
                type=FLASH_TYPE,
                subject=flash.camera,
                dataschema=FLASH_SCHEMA,
                data=flash,
            )
    assert [one.flash.state for one in make_report(read_run(journal), BERLIN).flashes] == ["confirmed"]
    media = tmp_path / "media"
    made_still(media / "stills/a.jpg", 1)
    (one,) = make_report(read_run(journal, media=media), BERLIN).flashes
    assert one.still.path == "stills/a.jpg"


def test_the_storms_are_those_of_the_events_by_the_settings_of_the_run(tmp_path: Path) -> None:
    flashes = [made_flash(at) for at in (5.0, 100.0, 400.0, 4000.0, 4100.0, 9000.0)]
    told = [made_flash(200.0, state="rejected"), *flashes]
    storms = report_of(tmp_path, *told).storms
    assert [(one.begin - START, one.end - START, one.flash_count) for one in storms] == [
        (pytest.approx(5.0), pytest.approx(400.0), 3),
        (pytest.approx(4000.0), pytest.approx(4100.0), 2),
    ]
    (tmp_path / "run.json").write_text('{"settings": {"storm": {"quiet_minutes": 120.0}}}')
    assert [one.flash_count for one in report_of(tmp_path, *told).storms] == [6]
    (tmp_path / "run.json").write_text('{"settings": {"storm": {"quiet_minutes": "long"}}}')
    assert [one.flash_count for one in report_of(tmp_path, *told).storms] == [3, 2]


def test_recordings_without_times_have_storms_of_their_own(tmp_path: Path) -> None:
    flashes = [made_flash(at, name, file=f"{name}.mp4", utc=None) for name in ("one", "two") for at in (5.0, 9.0)]
    storms = report_of(tmp_path, *flashes, made_flash(3.0, "lone", file="lone.mp4", utc=None)).storms
    assert [(one.flash_count, one.cameras) for one in storms] == [(2, ("one",)), (2, ("two",))]


def test_the_best_still_is_the_one_of_the_highest_rank(tmp_path: Path) -> None:
    ranks = {5.0: 0.2, 9.0: 0.8, 20.0: 0.5}
    report = report_of(tmp_path, *(made_flash(at, rank=rank, rise=100 - at) for at, rank in ranks.items()))
    assert [one.flash.rank for one in report.confirmed] == [0.8, 0.5, 0.2]
    assert report.summary.best is not None
    assert report.summary.best.flash.rank == 0.8


def test_flashes_of_a_run_without_ranks_are_sorted_by_what_their_stills_show(tmp_path: Path) -> None:
    older = [made_flash(5.0, rise=40), made_flash(9.0, rise=200), made_flash(20.0, rise=90, rank=1.0)]
    assert [one.flash.peak_rise_levels for one in report_of(tmp_path, *older).confirmed] == [200, 90, 40]
