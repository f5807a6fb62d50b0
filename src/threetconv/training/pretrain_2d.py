"""2D weights for pretrained runs: trained here on rendered stills, or torchvision's ImageNet."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from threetconv.clips.dataset import normalise
from threetconv.errors import InputError, look_up
from threetconv.networks.build import build_2d
from threetconv.networks.registry import CATALOGUE, lift_remedy
from threetconv.support.files import write_tensors
from threetconv.support.provenance import file_sha256
from threetconv.training.loop import fit
from threetconv.training.settings import Settings

__all__ = ["Stills", "fetch_imagenet", "read_stills", "train_on_stills"]

log = logging.getLogger(__name__)

IMAGES = (
    "lay the images out so; a folder that the workflow rendered is rendered anew once it is deleted"
)
HASHED = re.compile(r"-([0-9a-f]{8,})\.")  # torch's convention for the names of weights


class Stills:
    """Labelled still images, handed out in batches (B, 3, H, W)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, groups: Sequence[np.ndarray], *, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in groups:
            images = normalise(self._images[chosen][:, None]).squeeze(2)  # a clip of one frame
            yield images, torch.from_numpy(self.labels[chosen])


def read_stills(root: str | Path, split: str, size: tuple[int, int]) -> tuple[Stills, list[str]]:
    """Read ``<root>/<split>/<class>/*.jpg`` at (height, width); also returns the class names."""
    folder = Path(root) / split
    classes = sorted(path.name for path in folder.glob("*/"))
    images, labels = [], []
    for index, name in enumerate(classes):
        for file in sorted((folder / name).glob("*.jpg")):
            # no other of Pillow's readers, whatever the file contains
            with Image.open(file, formats=("JPEG",)) as image:
                images.append(
                    np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))
                )
            labels.append(index)
    if not images:
        raise InputError(folder, found="no images", expected="<class>/*.jpg", remedy=IMAGES)
    return Stills(np.stack(images), np.asarray(labels)), classes


def train_on_stills(
    name: str,
    root: str | Path,
    *,
    size: tuple[int, int],
    width: float,
    settings: Settings,
    seed: int,
    out: str | Path,
) -> None:
    """Train the 2D network that `build_network` lifts, and write its best state dict.

    Args:
        name: the network.
        root: folder of still images.
        size: (height, width) they are resized to.
        width: factor on every channel count.
        settings: of training.
        seed: for initialisation and data order.
        out: the .safetensors file to write.
    """
    training, classes = read_stills(root, "train", size)
    validation, same = read_stills(root, "val", size)
    if same != classes:
        raise InputError(
            Path(root) / "val",
            found=f"classes {', '.join(same)}",
            expected=f"those of {Path(root) / 'train'}: {', '.join(classes)}",
            remedy=IMAGES,
        )
    model: Any = build_2d(name, num_classes=len(classes), width=width, seed=seed)
    if hasattr(model, "aux1"):  # GoogLeNet's heads are sized for 224 x 224 images, stills are small
        model.aux1 = model.aux2 = None
        model.aux_logits = False
    result = fit(model, training, validation, settings, seed=seed)
    accuracy = result.metrics.query("split == 'val' and metric == 'accuracy'")["value"].max()
    log.info(
        "%s on stills: best validation accuracy %.3f of %d classes", name, accuracy, len(classes)
    )
    # heads left out above are filled in untrained, so that the file has every key of the network
    full = build_2d(name, num_classes=len(classes), width=width, seed=seed).state_dict()
    write_tensors(full | result.best_state, out)


def fetch_imagenet(name: str, out: str | Path, cache: str | Path) -> None:
    """Fetch torchvision's ImageNet weights and verify the SHA-256 digits in the file's name.

    A file of that name in `cache` is used instead of a download, once its own hash is verified.

    Args:
        name: the network.
        out: the .safetensors file to write.
        cache: folder of downloads.

    Raises:
        InputError: there is no network and no cached file (says where to put it by hand); a file
            with another hash (a download is then deleted, a file that was there is left alone).
    """
    from torchvision.models import get_weight

    weights = get_weight(
        look_up(CATALOGUE, name, what="network", remedy=lift_remedy(name)).imagenet
    )
    file = Path(cache).absolute() / PurePosixPath(urlsplit(weights.url).path).name
    digits = HASHED.search(file.name)
    if digits is None:
        raise InputError(
            weights.url,
            found="no digits of the file's SHA-256 in its name",
            expected="a name such as resnet18-f37072fd.pth",
            remedy="register the network with weights that can be verified",
        )
    # torch checks the hash of a download only, not of a file that is in the cache already
    if file.exists() and not (found := file_sha256(file)).startswith(digits[1]):
        raise InputError(
            file,
            found=f"SHA-256 {found}",
            expected=f"the ImageNet weights of {name}, whose SHA-256 begins with {digits[1]}",
            remedy=f"delete the file; it is then downloaded from {weights.url}",
        )
    try:
        state = torch.hub.load_state_dict_from_url(
            weights.url, model_dir=str(cache), check_hash=True, weights_only=True, progress=False
        )
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(
            weights.url,
            found=f"{type(error).__name__}: {error}",
            expected=f"ImageNet weights of {name}, whose SHA-256 begins with {digits[1]}; or the "
            f"file at {file}",
            remedy=f"on a machine with network access download {weights.url}, and put the file at "
            f"{file} (its hash is checked there as well)",
        ) from error
    write_tensors(state, out)
