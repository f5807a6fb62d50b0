"""Facts that a plan needs, without torch."""

from __future__ import annotations

import subprocess
import sys

from torchvision.models import get_weight

from threetconv.networks.registry import CATALOGUE


def test_imagenet_weights_exist_under_their_names() -> None:
    for facts in CATALOGUE.values():
        assert get_weight(facts.imagenet).url.startswith("https://download.pytorch.org/")


def test_a_plan_does_not_load_torch() -> None:
    code = (
        "import sys, threetconv, threetconv.study.validate, threetconv.networks.registry\n"
        "import threetconv.networks.layer_info, threetconv.support.files\n"
        "import threetconv.records.parameters, threetconv.records.run_folder\n"
        "import threetconv.support.provenance\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
