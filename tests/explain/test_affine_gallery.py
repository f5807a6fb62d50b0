"""Figure 1's pixels come out where the geometry says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from threetconv.errors import InputError
from threetconv.explain.motion.affine_gallery import (
    FIGURE_1,
    Transform,
    affine_gallery,
    example_image,
)
from threetconv.figures.gallery import gallery
from threetconv.layer.affine import affine_matrix


def blob(x: float, y: float, size: int = 101) -> np.ndarray:
    """A soft spot (right, down) of the centre."""
    place = np.arange(size) - (size - 1) / 2
    return np.exp(-((place[None] - x) ** 2 + (place[:, None] - y) ** 2) / (2 * 2.5**2))


def centre(image: np.ndarray) -> tuple[float, float]:
    place = np.arange(image.shape[0]) - (image.shape[0] - 1) / 2
    mass = image.astype(np.float64)
    return float((mass * place).sum() / mass.sum()), float((mass.T * place).sum() / mass.sum())


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Transform("", translate_x=0.2), (12, 0)),
        (Transform("", translate_y=0.2), (22, -10)),
        (Transform("", scale=2.0), (11, 0)),
        (Transform("", rotate=0.3), (21.016, -6.502)),
        (Transform("", scale=0.5, translate_x=0.2), (34, 0)),
    ],
)
def test_a_blob_moves_as_known(transform: Transform, expected: tuple[float, float]) -> None:
    """From (22, 0) on 101 x 101, right and down."""
    images, _ = affine_gallery(blob(22, 0), transforms=[transform], depth=2)
    np.testing.assert_allclose(centre(images[0, 0]), (22, 0), atol=1e-6)
    np.testing.assert_allclose(centre(images[0, 1]), expected, atol=0.01)


@pytest.mark.parametrize(
    ("word", "sign"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1))]
)
def test_labels_of_translations_are_true(word: str, sign: tuple[int, int]) -> None:
    images, labels = affine_gallery(blob(0, 0), depth=3)
    row = images[[label.split(": ")[-1] for label in labels].index(word)]
    shift = np.array(centre(row[1]))
    np.testing.assert_allclose(shift, 12.5 * np.array(sign), atol=0.01)
    np.testing.assert_allclose(centre(row[2]), 2 * shift, atol=0.05)


def test_labels_of_zooms_and_turns_are_true() -> None:
    images, labels = affine_gallery(blob(20, 0), depth=2)
    ends = {
        label.split(": ")[-1]: centre(row[1]) for label, row in zip(labels, images, strict=True)
    }
    assert ends["zooms out"][0] == pytest.approx(16, abs=0.01)
    assert ends["zooms in"][0] == pytest.approx(25, abs=0.01)
    assert ends["counter-clockwise"][1] < -5  # from the right, up
    assert ends["clockwise"][1] > 5


def test_every_image_is_resampled_from_the_one_before() -> None:
    """torchvision-free: affine_grid and grid_sample, slice by slice."""
    images, _ = affine_gallery(example_image(31), depth=4)
    for row, transform in zip(images, FIGURE_1, strict=True):
        raw = [torch.tensor([value], dtype=torch.float32) for value in transform[1:]]
        grid = F.affine_grid(affine_matrix(*raw), [1, 1, 31, 31], align_corners=True)
        current = torch.from_numpy(row[0])[None, None]
        for image in row[1:]:
            current = F.grid_sample(current, grid, align_corners=True)
            np.testing.assert_allclose(image, current[0, 0], atol=2e-5)


def test_shapes_options_and_the_given_image() -> None:
    picture = np.random.default_rng(0).random((9, 12)).astype(np.float32)
    kept = picture.copy()
    images, labels = affine_gallery(picture, depth=1)
    assert images.shape == (len(FIGURE_1), 1, 9, 12)
    assert len(set(labels)) == len(FIGURE_1)
    np.testing.assert_array_equal(images[3, 0], picture)
    shift = [Transform("far", translate_x=4.0)]
    assert (affine_gallery(picture, transforms=shift, depth=2).images[0, 1] == 0).all()
    border = affine_gallery(picture, transforms=shift, depth=2, filter_padding="border").images
    np.testing.assert_allclose(border[0, 1], np.repeat(picture[:, -1:], 12, axis=1), atol=1e-6)
    np.testing.assert_array_equal(picture, kept)


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 4, 4\)"):
        affine_gallery(np.zeros((3, 4, 4)))
    with pytest.raises(InputError, match="no transforms"):
        affine_gallery(transforms=[])
    with pytest.raises(InputError, match="depth=0"):
        affine_gallery(depth=0)


def test_figure_has_every_image_and_label() -> None:
    images, labels = affine_gallery(example_image(16), depth=3)
    figure = gallery(images, labels)
    assert len(figure.axes) == len(labels) * 3
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), images[1, 1])
    texts = {text.get_text() for text in figure.texts}
    assert {"slice 1", "slice 3", "tx = 0.25\nleft"} <= texts
    with pytest.raises(ValueError, match="expected"):
        gallery(images, labels[:-1])
