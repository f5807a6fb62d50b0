"""The rendered `gestures` set: layout, determinism, and the class in the motion only."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp

from threetconv.data.synthetic import motions
from threetconv.data.synthetic.canvas import Cones, draw_cones
from threetconv.data.synthetic.gesture_names import GESTURES
from threetconv.data.synthetic.gestures import render_gesture_clip, render_gestures
from threetconv.data.synthetic.hand import draw_hand, draw_look
from threetconv.data.synthetic.motions import OPPOSITE, Poses, poses
from threetconv.data.synthetic.opposites import OPPOSITES
from threetconv.errors import InputError

SWIPES = ("Swiping Left", "Swiping Right", "Swiping Down", "Swiping Up")
OPEN_SWEEPS = (
    *SWIPES,
    "Pushing Hand Away",
    "Pulling Hand In",
    "Turning Hand Clockwise",
    "Turning Hand Counterclockwise",
    "Zooming In With Full Hand",
    "Zooming Out With Full Hand",
)


def film(label, seed, *, frames=12, size=(32, 32), **changes):
    """A clip and where in it the hand is: (T, H, W, 3) in [0, 1] and (T, H, W) bool."""
    rng = np.random.default_rng(seed)
    look = replace(draw_look(size, rng), noise=0.0, flicker=0.0, **changes)
    clip = draw_hand(poses(label, frames, rng), look, rng) / 255.0
    return clip, np.abs(clip - look.background).max(axis=-1) > 0.06


def centroid(mask):
    """(T, 2) mean x and y of the hand, as fractions of the picture."""
    _, h, w = mask.shape
    weight = mask.sum(axis=(1, 2))
    x = (mask.sum(axis=1) * (np.arange(w) + 0.5) / w).sum(axis=1) / weight
    y = (mask.sum(axis=2) * (np.arange(h) + 0.5) / h).sum(axis=1) / weight
    return np.stack([x, y], axis=1)


def still_pose(frames=2, **values):
    """An open hand at rest in the middle of the picture."""
    rest = dict.fromkeys((f.name for f in fields(Poses)), 0.0) | {"x": 0.5, "y": 0.5, "arm": 1.0}
    rest |= {"size": np.log(0.6)} | values
    tracks = {k: np.full(frames, v) for k, v in rest.items() if k not in ("curl", "splay")}
    fingers = {k: np.zeros((frames, 5)) for k in ("curl", "splay")}
    return Poses(**tracks, **fingers)


# layout ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    root = tmp_path_factory.mktemp("gestures") / "set"
    steps = []
    render_gestures(
        root,
        clips={"train": 11, "val": 5, "test": 4},
        classes=SWIPES,
        frames=(4, 6),
        size=(20, 34),
        seed=3,
        progress=lambda done, total: steps.append((done, total)),
    )
    return root, steps


def rows(path):
    return [line.split(";") for line in path.read_text().splitlines()]


def test_layout_is_jesters(small_set):
    root, steps = small_set
    assert sorted(p.name for p in root.iterdir()) == [
        "20bn-jester-v1",
        "jester-v1-labels.csv",
        "jester-v1-test.csv",
        "jester-v1-train.csv",
        "jester-v1-validation.csv",
    ]
    assert rows(root / "jester-v1-labels.csv") == [[name] for name in SWIPES]
    lists = {s: rows(root / f"jester-v1-{s}.csv") for s in ("train", "validation", "test")}
    assert {s: len(r) for s, r in lists.items()} == {"train": 11, "validation": 5, "test": 4}
    assert all(len(r) == 1 for r in lists["test"])
    listed = [r[0] for part in lists.values() for r in part]
    folders = [p.name for p in (root / "20bn-jester-v1").iterdir()]
    assert sorted(listed) == sorted(folders)
    assert len(set(listed)) == 20
    assert all(1 <= int(i) <= 148_092 for i in listed)
    assert steps == [(n, 20) for n in range(1, 21)]


def test_lists_are_balanced_and_shuffled(small_set):
    root, _ = small_set
    train = [label for _, label in rows(root / "jester-v1-train.csv")]
    assert sorted(Counter(train).values()) == [2, 3, 3, 3]
    assert set(train) == set(SWIPES)
    assert train != sorted(train, key=SWIPES.index)
    assert any(one != later for one, later in zip(train, train[4:], strict=False))  # no cycle


def test_frames_are_numbered_jpegs_of_the_size_asked(small_set):
    root, _ = small_set
    lengths = set()
    for folder in (root / "20bn-jester-v1").iterdir():
        names = sorted(p.name for p in folder.iterdir())
        assert names == [f"{n:05d}.jpg" for n in range(1, len(names) + 1)]
        lengths.add(len(names))
        with Image.open(folder / names[0]) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (34, 20))
    assert lengths == {4, 5, 6}


def test_ids_do_not_follow_the_class(tmp_path):
    render_gestures(
        tmp_path / "set", clips={"train": 60}, classes=SWIPES[:2], frames=(2, 2), size=(16, 16)
    )
    table = rows(tmp_path / "set" / "jester-v1-train.csv")
    ids = {name: [int(i) for i, label in table if label == name] for name in SWIPES[:2]}
    assert ks_2samp(*ids.values()).pvalue > 0.01
    assert not (tmp_path / "set" / "jester-v1-validation.csv").exists()


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_same_bytes_for_any_number_of_workers_from_a_script_without_main_guard(tmp_path):
    settings_ = "clips={'train': 9, 'val': 4}, frames=(3, 5), size=(24, 24), classes=GESTURES[4:8]"
    script = tmp_path / "script.py"
    script.write_text(
        "from threetconv.data.synthetic.gesture_names import GESTURES\n"
        "from threetconv.data.synthetic.gestures import render_gestures\n"
        f"render_gestures({str(tmp_path / 'two')!r}, {settings_}, seed=7, workers=2)\n"
        "import sys\nassert 'torch' not in sys.modules\nprint('ran')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    options = {"clips": {"train": 9, "val": 4}, "frames": (3, 5), "size": (24, 24)}
    for name, seed in (("one", 7), ("other", 8)):
        render_gestures(tmp_path / name, classes=GESTURES[4:8], seed=seed, **options)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


# errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["Swiping Lefft"]}, "did you mean 'Swiping Left'"),
        ({"classes": ["Swiping Left", "Swiping Left"]}, "each once"),
        ({"classes": []}, "no class"),
        ({"clips": {"validation": 30}}, "did you mean 'val'|one of test, train, val"),
        ({"clips": {"train": 26}}, "at least 27"),
        ({"frames": (5, 4)}, "least <= greatest"),
        ({"frames": (1, 4)}, "2 <= least"),
        ({"variety": 1.5}, "from 0 to 1"),
        ({"size": (8, 64)}, "at least 16 pixels"),
    ],
)
def test_bad_settings_stop_before_anything_is_written(tmp_path, change, message):
    options = {"clips": {"train": 27}, "frames": (3, 3), "size": (16, 16)} | change
    with pytest.raises(InputError, match=message):
        render_gestures(tmp_path / "set", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="something is there already"):
        render_gestures(tmp_path, clips={"train": 27}, frames=(2, 2), size=(16, 16))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_stopped_run_leaves_nothing(tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_gestures(
            tmp_path / "set", clips={"train": 27}, frames=(2, 2), size=(16, 16), progress=stop
        )
    assert list(tmp_path.iterdir()) == []


def test_unknown_label_and_too_short_a_clip():
    with pytest.raises(InputError, match="did you mean 'Thumb Up'"):
        render_gesture_clip("Thum Up", frames=4, size=(16, 16), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="at least 2"):
        render_gesture_clip("Thumb Up", frames=1, size=(16, 16), rng=np.random.default_rng(0))


# the class is in the motion ----------------------------------------------------------------------


def test_the_27_classes():
    assert len(GESTURES) == len(set(GESTURES)) == 27
    assert tuple(motions._BOOK) == GESTURES  # every name has its motion
    assert {len(n) for n in map(str.split, GESTURES)} <= {2, 3, 4, 5}
    assert len(OPPOSITE) == 22
    assert dict(OPPOSITES["jester"]).items() <= OPPOSITE.items()
    assert 2 * len(OPPOSITES["jester"]) == 22
    assert set(GESTURES) - set(OPPOSITE) == {
        "Shaking Hand",
        "Stop Sign",
        "Drumming Fingers",
        "No gesture",
        "Doing other things",
    }


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), frames=st.integers(2, 40), variety=st.floats(0, 1))
def test_opposite_gestures_are_each_other_played_backwards(seed, frames, variety):
    for name, other in OPPOSITE.items():
        one = poses(name, frames, np.random.default_rng(seed), variety=variety)
        two = poses(other, frames, np.random.default_rng(seed), variety=variety).reversed()
        for field in fields(Poses):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


def test_a_random_frame_has_the_same_law_in_every_sweep():
    """Place, size, angle and fingers of one random frame: Kolmogorov-Smirnov, class by class."""
    n, frames = 400, 16
    rng = np.random.default_rng(5)
    drawn = {}
    for name in OPEN_SWEEPS:
        tracks = [(poses(name, frames, rng), rng.integers(frames)) for _ in range(n)]
        drawn[name] = np.array(
            [[p.x[t], p.y[t], p.size[t], p.angle[t], p.curl[t, 2], p.splay[t, 1]]
             for p, t in tracks]
        )  # fmt: skip
    for name in OPEN_SWEEPS[1:]:
        for column in range(6):
            p = ks_2samp(drawn[OPEN_SWEEPS[0]][:, column], drawn[name][:, column]).pvalue
            assert p > 2e-4, (name, column)  # 54 comparisons: a family-wise level of about 1 %


def test_less_variety_keeps_the_motion_and_calms_the_rest():
    for seed in range(5):
        full = poses("Swiping Left", 12, np.random.default_rng(seed))
        calm = poses("Swiping Left", 12, np.random.default_rng(seed), variety=0.25)
        np.testing.assert_array_equal(full.x, calm.x)
        np.testing.assert_allclose(np.diff(full.y), np.diff(calm.y), atol=1e-12)  # the tremor
        assert calm.angle.mean() == pytest.approx(0.25 * full.angle.mean(), abs=1.0)


def test_one_frame_does_not_tell_a_swipe_but_its_motion_does():
    frames, per_class = 12, 60
    single, moved, truth = [], [], []
    rng = np.random.default_rng(11)
    for k, name in enumerate(SWIPES):
        for i in range(per_class):
            clip, mask = film(name, [k, i], frames=frames, size=(32, 32))
            picture = clip[rng.integers(frames)].reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
            single.append(picture.ravel())
            c = centroid(mask)
            dx, dy = c[-3:].mean(axis=0) - c[:3].mean(axis=0)
            moved.append([-dx, dx, dy, -dy])
            truth.append(k)
    x, y = np.array(single), np.array(truth)
    fold = np.arange(len(y)) % 2
    hits = 0
    for f in (0, 1):
        means = np.stack([x[(y == k) & (fold != f)].mean(axis=0) for k in range(4)])
        distance = ((x[fold == f, None] - means) ** 2).sum(axis=-1)
        hits += int((distance.argmin(axis=1) == y[fold == f]).sum())
    chance = 0.25
    spread = np.sqrt(chance * (1 - chance) / len(y))
    assert hits / len(y) < chance + 3.5 * spread
    assert (np.argmax(moved, axis=1) == y).mean() > 0.95


def test_hand_and_room_are_drawn_without_the_class():
    """Generators in the same state show the same hand in the same room, whatever the gesture."""
    clips = [
        render_gesture_clip(name, frames=6, size=(32, 32), rng=np.random.default_rng(21))
        for name in ("Swiping Left", "Thumb Up", "No gesture")
    ]
    still = np.median(np.concatenate(clips).astype(float), axis=0)
    for clip in clips:
        room = np.abs(clip - still).max(axis=-1) < 12
        assert room.mean() > 0.5
        assert np.abs((clip - still)[room].mean()) < 1.5


@pytest.mark.parametrize("thumb", [-1, 1])
@pytest.mark.parametrize("facing", [-1, 1])
def test_mirroring_the_hand_does_not_mirror_the_motion(thumb, facing):
    look = {"thumb": thumb, "facing": facing}
    for seed in range(4):
        moves = {}
        for name in SWIPES:
            c = centroid(film(name, seed, **look)[1])
            moves[name] = c[-1] - c[0]
        assert moves["Swiping Left"][0] < -0.1 < 0.1 < moves["Swiping Right"][0]
        assert moves["Swiping Up"][1] < -0.05 < 0.05 < moves["Swiping Down"][1]


def area(name, **changes):
    """Mean share of the picture that the hand covers, first and last frame, over seeds."""
    sums = [film(name, seed, **changes)[1].mean(axis=(1, 2))[[0, -1]] for seed in range(10)]
    return np.mean(sums, axis=0)


@pytest.mark.parametrize(
    ("grows", "shrinks"),
    [
        ("Pushing Hand Away", "Pulling Hand In"),
        ("Pushing Two Fingers Away", "Pulling Two Fingers In"),
        ("Zooming In With Full Hand", "Zooming Out With Full Hand"),
    ],
)
def test_pushing_and_zooming_in_grow(grows, shrinks):
    start, end = area(grows)
    assert end > 1.1 * start
    start, end = area(shrinks)
    assert start > 1.1 * end


@pytest.mark.parametrize("thumb", [-1, 1])
def test_clockwise_as_a_clock_in_the_picture(thumb):
    """Upright, the fingers are above the palm; a quarter turn clockwise, to its right."""
    rng = np.random.default_rng(2)
    blue = np.array([0.0, 0.0, 1.0])  # the sleeve, so that it is not taken for fingers
    look = replace(
        draw_look((64, 64), rng), noise=0.0, flicker=0.0, thumb=thumb, sleeve=blue, cuff=0.1
    )

    def skin(angle):
        clip = draw_hand(still_pose(angle=angle), look, rng) / 255.0
        changed = np.abs(clip[0] - look.background).max(axis=-1) > 0.06
        return changed & (clip[0, ..., 0] > clip[0, ..., 2])

    up, right = skin(0.0), skin(90.0)
    assert up[10:14, 28:36].any()
    assert not up[52:].any()
    assert right[28:36, 50:54].any()
    assert not right[:, :12].any()
    for name, sign in (("Turning Hand Clockwise", 1), ("Turning Hand Counterclockwise", -1)):
        turn = poses(name, 12, rng).angle
        assert sign * (turn[-1] - turn[0]) > 60


@pytest.mark.parametrize("thumb", [-1, 1])
@pytest.mark.parametrize("facing", [-1, 1])
def test_the_thumb_ends_up_or_down(thumb, facing):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        look = replace(draw_look((64, 64), rng), noise=0.0, flicker=0.0, thumb=thumb, facing=facing)
        for name, above in (("Thumb Up", True), ("Thumb Down", False)):
            pose = poses(name, 12, rng)
            middle = np.full(12, 0.5)
            pose = replace(pose, x=middle, y=middle, angle=0 * middle, size=0 * middle - 0.5)
            clip = draw_hand(pose, look, rng) / 255.0
            lines = np.flatnonzero((np.abs(clip[-1] - look.background).max(-1) > 0.06).any(1))
            assert (32 - lines[0] > lines[-1] - 32) == above


def turning_points(track):
    steps = np.sign(np.diff(track))
    return int((np.diff(steps) != 0).sum())


def test_periodic_gestures_repeat():
    rng = np.random.default_rng(9)
    for _ in range(10):
        assert turning_points(poses("Shaking Hand", 60, rng).angle) >= 3
        tap = poses("Drumming Fingers", 60, rng).curl[:, 1:]
        assert np.ptp(tap, axis=0).min() > 0.2
        spectrum = np.fft.rfft(tap - tap.mean(axis=0), axis=0)
        phase = np.angle(spectrum[np.abs(spectrum).sum(axis=1).argmax()])
        assert np.diff(np.unwrap(phase)) == pytest.approx(0.9, abs=0.3)  # one after the other


@pytest.mark.parametrize(("name", "sign"), [("Forward", 1), ("Backward", -1)])
def test_rolling_circles_over_the_top_towards_the_viewer(name, sign):
    """Signed area of the loop (height, size): its sign is the sense of rotation."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        p = poses(f"Rolling Hand {name}", 60, rng)
        up, near = -p.y + p.y.mean(), p.size - p.size.mean()
        loop = np.sum(near[:-1] * np.diff(up) - up[:-1] * np.diff(near))
        assert sign * loop < 0


def test_stop_sign_comes_to_a_stop_and_no_gesture_moves_least():
    change = {}
    for name in GESTURES:
        steps = [np.abs(np.diff(film(name, s, size=(24, 24))[0], axis=0)).mean((1, 2, 3))
                 for s in range(6)]  # fmt: skip
        change[name] = np.mean(steps, axis=0)
    stop = change["Stop Sign"]
    assert stop[:7].max() > 4 * stop[-4:].mean()
    total = {name: steps.mean() for name, steps in change.items()}
    assert min(total, key=lambda name: total[name]) == "No gesture"
    assert total["Swiping Left"] > 5 * total["No gesture"]


@pytest.mark.parametrize("name", GESTURES)
def test_every_class_renders(name):
    clip = render_gesture_clip(name, frames=7, size=(40, 56), rng=np.random.default_rng(1))
    assert clip.shape == (7, 40, 56, 3)
    assert clip.dtype == np.uint8
    assert clip.std() > 5


# drawing -----------------------------------------------------------------------------------------


def cone(start, end, r0, r1, colour=(1.0, 0.0, 0.0)):
    def one(*values):
        return np.array(values, np.float32).reshape(1, 1, -1)

    return Cones(one(*start), one(*end), one(r0, r1), one(*colour))


def painted(cones, size=(50, 70), **light):
    settings_ = {"light": np.array([0, 0, 1], np.float32), "ambient": 1.0} | light
    empty = np.zeros((*size, 3), np.float32)
    return draw_cones(empty, cones, frames=1, softness=np.ones(1, np.float32), **settings_)[0]


@pytest.mark.parametrize("end", [(45.0, 20.0, 0.0), (30.3, 34.8, 0.0), (20.0, 20.0, 0.0)])
def test_a_capsule_covers_its_area(end):
    """Antialiased area of a capsule of radius r and length l: 2 r l + pi r^2."""
    flat = cone((20.0, 20.0, 0.0), end, 6.0, 6.0)
    cover = painted([replace(flat, relief=1e-6)])[..., 0].sum()
    length = np.hypot(end[0] - 20, end[1] - 20)
    assert cover == pytest.approx(12 * length + np.pi * 36, rel=0.01)


def test_what_is_off_the_picture_is_not_drawn():
    assert painted([cone((-300.0, 10.0, 0.0), (-290.0, 10.0, 0.0), 5, 5)]).max() == 0
    edge = painted([cone((69.0, 25.0, 0.0), (90.0, 25.0, 0.0), 5, 5)])
    assert edge[:, :60].max() == 0
    assert edge[25, 69, 0] > 0.9


def test_the_nearer_cone_hides_the_farther_in_either_order():
    red = cone((35, 25, 20), (35, 25, 20), 8, 8)
    blue = cone((35, 25, 0), (35, 25, 0), 12, 12, colour=(0, 0, 1))
    one, two = painted([red, blue]), painted([blue, red])
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert one[25, 35, 0] > 0.9
    assert one[25, 35, 2] < 0.05
    assert one[25, 45, 2] > 0.5


def test_the_side_towards_the_light_is_brighter():
    ball = cone((35, 25, 0), (35, 25, 0), 15, 15)
    lit = painted([ball], light=np.array([-0.6, 0, 0.8], np.float32), ambient=0.3)
    assert lit[25, 27, 0] > 1.5 * lit[25, 45, 0]
