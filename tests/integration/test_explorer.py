"""The explorer in a real browser: headless Chromium, driven by Playwright, from a local file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from threetconv.explorer.page import explorer
from threetconv.explorer.variant import Variant
from threetconv.layer.motion import content_maps, trajectory

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

CLASSES = ["Swiping Left", "Swiping Right", "Zooming In"]
NAMES = {"3t": "wide-3t", "3d": "wide-3d"}
RESNET18 = [("conv1", 7, 64)] + [
    (f"layer{stage + 1}.{block}.conv{i}", 3, 64 * 2**stage)
    for stage in range(4)
    for block in range(2)
    for i in (1, 2)
]  # 17 layers, 3,904 channels, 8,064 transforms


def wide(folder: Path) -> Variant:
    """A full-width ResNet18 with made-up numbers and pictures of one channel."""
    rng = np.random.default_rng(1)
    layers, parameters, where = [], [], []
    for index, (name, kernel, channels) in enumerate(RESNET18):
        layers.append(
            {
                "index": index,
                "name": name,
                "kernel": [kernel] * 3,
                "channels": channels,
                "jump": 2 ** min(5, index // 4),
                "frames": 16,
                "reachable": [True] * (kernel - 2) + [index < 16],
            }
        )
        grid = np.indices((kernel - 1, channels)).reshape(2, -1)
        table = pd.DataFrame({"layer": name, "transition": grid[0], "channel": grid[1]})
        raw = rng.normal(0, 0.1, (4, len(table))) + np.array([[1], [0], [0], [0]])
        raw[0, 5] = -1.2  # a half turn, in channel 5's first transition
        columns = ("scale", "rotate", "translate_x", "translate_y")
        parameters.append(
            table.assign(reachable=True, **dict(zip(columns, raw.astype(np.float32), strict=True)))
        )
        where.append(
            pd.DataFrame({"layer_index": index, "layer": name, "channel": np.arange(channels)})
        )
    channels = pd.concat(where, ignore_index=True)
    total = len(channels)
    drops = [
        channels.assign(ablation="identity", label=label, drop=rng.normal(0, 0.1, total), n_clips=9)
        for label in ("", *CLASSES)
    ]
    for i in range(2):
        frames = rng.integers(0, 256, (24, 24 * (1, 8)[i], 3)).astype(np.uint8)
        Image.fromarray(frames).save(folder / f"{i}.png")
    images = channels[70:71].merge(
        pd.DataFrame(
            [
                ("frame", "c1", CLASSES[0], 2, 1, "0.png"),
                ("gradient", "c1", CLASSES[0], 2, 1, "0.png"),
                ("motion-film", None, None, -1, 8, "1.png"),
            ],
            columns=["method", "clip_id", "label", "frame", "n_frames", "file"],
        ),
        how="cross",
    )
    return Variant(
        key=NAMES["3t"],
        network="resnet18",
        dataset="gestures",
        init="scratch",
        convolution="3t",
        classes=CLASSES,
        layers=layers,
        parameters=pd.concat(parameters),
        channels=channels.assign(
            reachable=True,
            displacement=rng.permutation(total) / total,
            moves=channels["channel"] % 2 == 0,
            floor_zoom=1.1,
            floor_turn_deg=5.0,
            floor_px=0.2,
            sentence=[f"drifts left {i / 1000:.3f} kernel px" for i in range(total)],
        ),
        faithfulness=pd.concat(drops),
        chosen=channels[70:71].assign(rule="faithfulness", rank=1),
        images=images,
        image_folder=folder,
        first_layer_filters=rng.integers(0, 256, (64, 7, 7, 7, 3)).astype(np.uint8),
        accuracy={"val": 0.61},
        noise_floor=0.01,
    )


def baseline() -> Variant:
    """A 3D run: filters and nothing else."""
    filters = np.random.default_rng(2).integers(0, 256, (8, 7, 7, 7, 3)).astype(np.uint8)
    return Variant(
        key=NAMES["3d"],
        network="resnet18",
        dataset="gestures",
        init="scratch",
        convolution="3d",
        classes=CLASSES,
        first_layer_filters=filters,
    )


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    return wide(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def address(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "explorer.html"
    path.write_text(explorer([variant, baseline()], title="What each channel learned"))
    assert path.stat().st_size < 3e6
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Opens the page at a link; afterwards there must be no error and no request."""
    contexts, troubles = [], []

    def opened(link: str = "", **options: Any) -> Any:
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        contexts.append(browser.new_context(**{**settings, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: troubles.append(f"console {m.type}: {m.text}"))
        page.on("pageerror", lambda e: troubles.append(f"error: {e}"))
        page.on(
            "request",
            lambda r: r.url.startswith((address, "data:")) or troubles.append(f"request {r.url}"),
        )
        page.goto(address + link)
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def until(page: Any, condition: str) -> None:
    """Wait until an expression is true (Playwright's own waiting needs eval: forbidden)."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(25)
    pytest.fail(f"never true: {condition}")


def title(page: Any) -> str:
    return str(page.inner_text("#channel-title"))


def link(layer: str, channel: int, run: str = NAMES["3t"]) -> str:
    return f"#{run}/{layer}/{channel}"


def test_first_sight(visit: Any) -> None:
    page = visit()
    assert title(page) == "layer1.0.conv1 channel 6"  # the chosen channel
    assert page.inner_text(".sentence") == "Drifts left 0.070 kernel px."
    assert page.locator(".picture-card").count() == 3
    for image in page.locator("main img").all():
        assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") >= 24
        assert image.get_attribute("alt")
    assert page.inner_text("#count") == "64 of 3,904 channels"


def test_mouse_keyboard_and_back(visit: Any) -> None:
    page = visit(link("conv1", 0))
    page.click("#option-3")
    assert title(page) == "conv1 channel 3"
    assert page.url.endswith(link("conv1", 3))
    page.focus("#list")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert title(page) == "conv1 channel 6"
    assert page.get_attribute("#list", "aria-activedescendant") == "option-6"
    assert page.get_attribute("#option-6", "aria-selected") == "true"
    assert page.get_attribute("#option-6", "aria-setsize") == "64"
    page.keyboard.press("End")
    assert title(page) == "conv1 channel 63"
    page.go_back()
    until(page, "() => document.title.startsWith('conv1, channel 3 ')")
    page.keyboard.press("]")
    assert title(page) == "layer1.0.conv1 channel 0"


def test_links(visit: Any) -> None:
    page = visit(link("layer4.1.conv2", 501))
    assert title(page) == "layer4.1.conv2 channel 501"
    assert page.locator("#option-3893").is_visible()
    assert page.input_value("#layer") == "16"
    rows = page.locator("section:has(h3:text('Parameters')) tbody tr")
    assert rows.count() == 2
    assert "no" in rows.nth(1).inner_text()
    page.goto(page.url.split("#")[0] + link("conv1", 99))
    page.wait_for_selector(".notice")
    assert "names no channel" in page.inner_text(".notice")
    page.goto(page.url.split("#")[0] + link("conv1", 1, "unknown"))
    until(page, "() => document.querySelector('.notice')?.innerText.includes('no run')")


def test_search_and_sort(visit: Any, variant: Variant) -> None:
    page = visit(link("conv1", 0))
    page.select_option("#layer", "all")
    page.fill("#search", "layer2 17")
    assert page.inner_text("#count") == "4 of 3,904 channels"
    page.fill("#search", "left 0.012")
    assert page.inner_text("#count") == "1 of 3,904 channels"
    page.keyboard.press("Enter")
    assert title(page) == "conv1 channel 12"
    page.fill("#search", "sideways")
    assert "No channel fits" in page.inner_text("#count")
    page.fill("#search", "")
    page.select_option("#sort", "displacement")
    best = variant.channels["displacement"].to_numpy().argmax()
    assert page.get_attribute("[role=option][aria-posinset='1']", "id") == f"option-{best}"
    page.select_option("#sort", label="Zooming In")
    table = variant.faithfulness.query("label == 'Zooming In'")
    best = table["drop"].to_numpy().argmax()
    assert page.get_attribute("[role=option][aria-posinset='1']", "id") == f"option-{best}"
    page.check("#pictured")
    assert page.inner_text("#count") == "1 of 3,904 channels"


def test_animation(visit: Any) -> None:
    page = visit(link("conv1", 1), reduced_motion="no-preference")
    u = "() => threetconv.player.u"
    pixels = "() => document.querySelector('.filter .large').toDataURL()"
    arrow = "() => document.querySelector('.large .moved').getAttribute('transform')"
    before = page.evaluate(arrow)
    until(page, "threetconv.player.u > 0.3")  # it plays by itself
    assert page.evaluate(arrow) != before
    page.keyboard.press(" ")
    stopped = page.evaluate(u)
    page.wait_for_timeout(300)
    assert page.evaluate(u) == stopped
    assert page.get_attribute(".toggle", "aria-label") == "Play"
    page.evaluate("threetconv.player.seek(0)")
    seen = set()
    for step in range(7):
        assert page.inner_text(".moment") == f"slice {step + 1} of 7"
        seen.add(page.evaluate(pixels))
        page.keyboard.press("ArrowRight")
    assert len(seen) == 7
    assert page.evaluate(u) == 0  # round again
    page.click("[aria-label='Play']")
    until(page, "threetconv.player.u > 0.1")


def test_reduced_motion_waits_and_moves_in_steps(visit: Any) -> None:
    page = visit(link("conv1", 1))
    page.wait_for_timeout(300)
    assert page.evaluate("threetconv.player.u") == 0
    page.keyboard.press(" ")
    until(page, "threetconv.player.u > 0")
    assert page.evaluate("threetconv.player.u * 6 % 1") == pytest.approx(0, abs=1e-9)


def test_the_page_moves_things_as_the_library_does(visit: Any, variant: Variant) -> None:
    page = visit(link("conv1", 5))
    rows = variant.parameters.query("layer == 'conv1' and channel == 5").sort_values("transition")
    raw = [
        rows[name].to_numpy(np.float64)
        for name in ("scale", "rotate", "translate_x", "translate_y")
    ]
    assert (raw[0] < 0).any()
    found = page.evaluate(
        """() => { const steps = threetconv.state.run.steps(5), { motion } = threetconv;
        return { path: motion.trajectory(steps, [7, 7]),
                 maps: [0, 1, 2, 3, 4, 5, 6].map((t) => motion.contentMap(steps, t)) }; }"""
    )
    exact = trajectory(*raw)
    right, up = exact.kernel_pixels(7)
    np.testing.assert_allclose(found["path"]["zoom"], exact.zoom, rtol=1e-6)
    np.testing.assert_allclose(found["path"]["turn"], exact.clockwise_degrees, atol=1e-4)
    np.testing.assert_allclose(found["path"]["right"], right, atol=1e-6)
    np.testing.assert_allclose(found["path"]["up"], up, atol=1e-6)
    maps = content_maps(*raw)
    for (a, b, x, y), exact_map in zip(found["maps"], maps, strict=True):
        np.testing.assert_allclose([[a, b, x], [-b, a, y]], exact_map[:2], atol=1e-6)


def test_3d_says_what_it_lacks(visit: Any) -> None:
    page = visit(link("conv1", 0))
    page.select_option("#variant", "1")
    until(page, "threetconv.state.variant === 1")
    text = page.inner_text("main")
    assert "no transforms" in text
    assert "No pictures were made" in text
    assert "was not measured" in text
    assert page.locator(".strip canvas").count() == 7


def test_colours(visit: Any) -> None:
    page = visit(color_scheme="dark")
    colour = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    assert dark == "rgb(20, 24, 29)"
    page.click("#scheme")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [360, 768])
def test_narrow(visit: Any, width: int) -> None:
    page = visit(viewport={"width": width, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#option-65")
    assert title(page) == "layer1.0.conv1 channel 1"


ARROW_KEYS = """async () => {
  const list = document.getElementById("list"), times = [];
  for (let i = 0; i < 40; i += 1) {
    const start = performance.now();
    const key = { key: "ArrowDown", bubbles: true, cancelable: true };
    list.dispatchEvent(new KeyboardEvent("keydown", key));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[20];
}"""


def test_speed_with_all_channels_of_a_wide_network(visit: Any) -> None:
    page = visit(link("conv1", 0))
    took = {}
    for layer in ("0", "all"):  # conv1, and all layers
        page.select_option("#layer", layer)
        page.focus("#list")
        page.keyboard.press("Home")
        took[layer] = page.evaluate(ARROW_KEYS)
    print(f"arrow key to drawn, ms: {took}")
    assert title(page) == "conv1 channel 40"
    assert took["all"] < 5 * took["0"]  # 3,904 channels against 64
    nodes = page.evaluate("document.querySelectorAll('[role=option]').length")
    assert nodes < 60  # of 3,904
    page.keyboard.press("End")
    assert title(page) == "layer4.1.conv2 channel 511"
    assert page.locator("#option-3903[aria-posinset='3904']").is_visible()
