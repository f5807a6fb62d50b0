"""The parametrisation of optimised pictures: Fourier space, decorrelated colours, a sigmoid.

Gradient ascent on pixels makes high frequencies grow first and gives garish colours. A picture is
therefore stored as the spectrum of its decorrelated colours, every frequency scaled as in natural
images, where power falls with frequency.

Source: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017 (colours, Fourier space);
the scale of the frequencies is that of the code behind arXiv 2006.15983, Figures 2 and 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from threetconv.clips.dataset import IMAGENET_MEAN, IMAGENET_SD

__all__ = [
    "COLOUR_ROOT",
    "colour_matrix",
    "fourier_scale",
    "pixels",
    "standardise",
    "start_spectrum",
    "to_uint8",
]

COLOUR_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""A square root of the covariance of RGB over ImageNet's pixels: row = R, G, B; column =
brightness, red against blue, green against both.
Source: Lucid (tensorflow/lucid, optvis/param/color.py)."""


def colour_matrix(
    *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """From decorrelated colours to RGB, (3, 3): `COLOUR_ROOT` over its longest column."""
    root = torch.tensor(COLOUR_ROOT, dtype=torch.float64)
    # Lucid's normalisation: the column of brightness gets length 1, the others keep their ratio to
    # it.
    return (root / root.norm(dim=0).max()).to(dtype=dtype, device=device)


def fourier_scale(
    height: int,
    width: int,
    *,
    decay: float = 0.75,
    floor: float = math.sqrt(0.5),
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The scale of every frequency: 1 / max((fx^2 + fy^2)^decay, 1 / (max(h, w) floor)).

    Args:
        height, width: of the picture.
        decay: half the power by which amplitudes fall with the frequency; the paper's code has
            0.75.
        floor: bounds the scale of the lowest frequencies; the paper's code has sqrt(0.5).

    Returns:
        (height, width // 2 + 1), the layout of `torch.fft.rfft2`; fx and fy in cycles per pixel.
    """
    fy = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    fx = torch.fft.rfftfreq(width, dtype=torch.float64)[None, :]
    power = (fx.square() + fy.square()).pow(decay)
    # The mean (fx = fy = 0) would otherwise get an infinite scale.
    scale = 1 / power.clamp_min(1 / (max(height, width) * floor))
    return scale.to(dtype=dtype, device=device)


def start_spectrum(
    count: int,
    height: int,
    width: int,
    *,
    seed: int,
    spread: float = 0.01,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The spectra that ascent starts from: independent normal numbers with SD `spread`.

    Drawn on the CPU from `seed` alone, so that the start is the same on every device.

    Returns:
        float32 (count, 3, height, width // 2 + 1, 2): decorrelated colours; real and imaginary
        parts.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, 3, height, width // 2 + 1, 2, generator=generator)
    return (spread * drawn).to(device)


def pixels(spectrum: Tensor, scale: Tensor, colours: Tensor, *, width: int) -> Tensor:
    """The pictures that spectra stand for; differentiable. They are periodic: edges meet.

    Args:
        spectrum: (N, 3, H, W // 2 + 1, 2), see `start_spectrum`.
        scale: (H, W // 2 + 1), see `fourier_scale`.
        colours: (3, 3), see `colour_matrix`.
        width: W, which a half spectrum does not tell.

    Returns:
        (N, 3, H, W), RGB in (0, 1); a spectrum of zeros is mid-grey, 0.5.
    """
    scaled = torch.view_as_complex(spectrum) * scale
    # ortho: the SD of pixels does not grow with the picture, so one learning rate serves all sizes.
    planes = torch.fft.irfft2(scaled, s=(spectrum.shape[2], width), norm="ortho")
    # The sigmoid keeps RGB in range without clipping, whose gradient would be zero outside.
    return torch.sigmoid(torch.einsum("rc,nchw->nrhw", colours, planes))


def standardise(pictures: Tensor) -> Tensor:
    """RGB in [0, 1], (N, 3, H, W), as an ImageNet network expects it: (x - mean) / sd."""
    mean = pictures.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    sd = pictures.new_tensor(IMAGENET_SD).view(1, 3, 1, 1)
    return (pictures - mean) / sd


def to_uint8(pictures: Tensor) -> Tensor:
    """RGB in [0, 1], (N, 3, H, W), as bytes (N, H, W, 3) on the CPU."""
    levels = (pictures.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu()
