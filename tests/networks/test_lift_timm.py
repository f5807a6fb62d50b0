"""timm's ConvNets become video networks. timm is known by name alone, and may be missing."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift
from threetconv.networks.lift_check import verify_lift
from threetconv.networks.lift_convolutions import Standardised

timm = pytest.importorskip("timm")
CLIP = (8, 64, 64)


def layer(name: str, *args: Any, **options: Any) -> nn.Module:
    """A layer of timm by its qualified name."""
    module, _, kind = name.rpartition(".")
    made: nn.Module = getattr(importlib.import_module(f"timm.layers.{module}"), kind)(
        *args, **options
    )
    return made


LAYERS: dict[str, Any] = {
    "norm_act": lambda: layer("norm_act.BatchNormAct2d", 4, eps=1e-3, momentum=0.3),
    "frozen_norm_act": lambda: layer("norm_act.FrozenBatchNormAct2d", 4),
    "group_norm_act": lambda: layer("norm_act.GroupNormAct", 4, 2),
    "layer_norm_act": lambda: layer("norm_act.LayerNormAct2d", 4),
    "layer_norm": lambda: layer("norm.LayerNorm2d", 4),
    "rms_norm": lambda: layer("norm.RmsNorm2d", 4),
    "evo_norm": lambda: layer("evo_norm.EvoNorm2dS0", 4, groups=2),
    "response_norm": lambda: layer("filter_response_norm.FilterResponseNormTlu2d", 4),
    "same": lambda: layer("conv2d_same.Conv2dSame", 4, 6, 3, stride=2),
    "same_even": lambda: layer("conv2d_same.Conv2dSame", 4, 6, (1, 5), stride=(1, 3), groups=2),
    "standardised": lambda: layer("std_conv.StdConv2d", 4, 6, 3, stride=2),
    "standardised_same": lambda: layer("std_conv.StdConv2dSame", 4, 6, 3, stride=2),
    "scaled": lambda: layer("std_conv.ScaledStdConv2d", 4, 6, 3, gamma=1.7),
    "scaled_same": lambda: layer("std_conv.ScaledStdConv2dSame", 4, 6, 1, stride=2),
    "max_same": lambda: layer("pool2d_same.MaxPool2dSame", 3, 2),
    "average_same": lambda: layer("pool2d_same.AvgPool2dSame", 2, 2),
    "blur": lambda: layer("blur_pool.BlurPool2d", 4),
    "blur_any": lambda: layer("blur_pool.BlurPool2d", filt_size=5, pad_mode="constant"),
    "pool": lambda: layer("adaptive_avgmax_pool.SelectAdaptivePool2d", pool_type="catavgmax"),
    "pool_fast": lambda: layer("adaptive_avgmax_pool.SelectAdaptivePool2d", pool_type="fastmax"),
    "head": lambda: layer("classifier.ClassifierHead", 4, 5),
    "norm_head": lambda: layer("classifier.NormMlpClassifierHead", 4, 5, hidden_size=6),
    "squeeze": lambda: layer("squeeze_excite.SEModule", 4),
    "eca": lambda: layer("eca.EcaModule", 4),
    "cbam": lambda: layer("cbam.CbamModule", 4),
    "global_context": lambda: layer("global_context.GlobalContext", 4, fuse_add=True),
    "gather": lambda: layer("gather_excite.GatherExcite", 4, extent=4, use_mlp=False),
    "coordinates": lambda: layer("coord_attn.SimpleCoordAttn", 4),
    "split": lambda: layer("split_attn.SplitAttn", 4, radix=2),
    "split_one": lambda: layer("split_attn.SplitAttn", 4, radix=1),
    "selective": lambda: layer("selective_kernel.SelectiveKernel", 4),
    "response": lambda: layer("grn.GlobalResponseNorm", 4, channels_last=False),
    "mixed": lambda: layer("mixed_conv2d.MixedConv2d", 4, 6, (3, 5)),
    "space_to_depth": lambda: layer("space_to_depth.SpaceToDepth"),
}
REFUSED = {"coordinates"}  # it averages over one axis of the frame


def network(name: str) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), LAYERS[name]())
        for tensor in made[1].parameters():
            nn.init.uniform_(tensor, 0.5, 1.5)
        return made


@pytest.mark.parametrize("symmetric_time", [False, True])
@pytest.mark.parametrize("convolution", ["3t", "3d", "2d"])
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in REFUSED])
def test_layers_on_equal_frames(name: str, convolution: str, symmetric_time: bool) -> None:
    model = network(name)
    video = lift(model, convolution, symmetric_time=symmetric_time)
    for frames in (5, 8):
        verify_lift(video, model, (frames, 12, 16))
    clip = torch.randn(2, 3, 6, 12, 16, generator=torch.Generator().manual_seed(0))
    expected = video.eval()(clip)
    for twin in (copy.deepcopy(video), pickle.loads(pickle.dumps(video)), freeze_filters(video)):
        torch.testing.assert_close(twin(clip), expected)
    video.train()(clip).mean().backward()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_lifted_names_layer_line_and_remedy(name: str) -> None:
    with pytest.raises(ValueError, match=r"layer '1' \(SimpleCoordAttn\), .*keepdim|both at once"):
        lift(network(name))(torch.zeros(2, 3, 6, 12, 16))


def test_a_batch_norm_with_activation_keeps_what_it_knows() -> None:
    model: Any = network("norm_act")
    model[1].running_mean.uniform_(-1, 1)
    video: Any = lift(model)
    assert isinstance(video[1], nn.BatchNorm3d)
    assert (video[1].eps, video[1].momentum) == (1e-3, 0.3)
    assert video.state_dict().keys() >= model.state_dict().keys()
    assert torch.equal(video[1].running_mean, model[1].running_mean)
    assert bool((lift(model, carry="nothing")[1].running_mean == 0).all())  # type: ignore[index]


def test_standardised_filters_are_standardised_in_training_too() -> None:
    for convolution in ("3t", "3d"):
        video: Any = lift(network("scaled"), convolution)[1].double()  # type: ignore[index]
        assert isinstance(video, Standardised)
        with torch.no_grad():
            video.weight.mul_(3).add_(5)
        filters = video.filters()
        sums = filters[:, :, 0] * 3 if convolution == "3t" else filters.sum(2)
        gain = video.gain.flatten() * 1.7 / 6  # 4 x 3 x 3 inputs
        torch.testing.assert_close(sums.mean((1, 2, 3)), torch.zeros(6).double())
        torch.testing.assert_close(sums.std((1, 2, 3), correction=0), gain, rtol=1e-4, atol=0)
        assert video.weight.grad is None
        filters.square().mean().backward()
        assert video.gain.grad.abs().min() > 0
    with pytest.raises(ValueError, match=r"'1' \(ScaledStdConv2d\).*factorised.*Instead: conv"):
        lift(network("scaled"), "r2plus1d")


def test_frames_padded_as_tensorflow_does_lose_none_nor_does_time() -> None:
    """As many outputs along time as along the frame, for clips of every length."""
    video: Any = lift(network("same"))
    assert isinstance(video[1], Conv3T)
    for n in range(4, 11):
        assert set(video(torch.zeros(1, 3, n, n, n)).shape[2:]) == {(n + 1) // 2}


@pytest.mark.parametrize(
    "name",
    [
        *("test_resnet", "test_efficientnet", "test_convnext2", "test_byobnet", "test_nfnet"),
        *("resnet18d", "resnetblur18", "tf_efficientnetv2_b0", "resnest14d", "skresnet18"),
    ],
)
def test_networks(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=5)
    frames = 32 if "conv" in name else 8
    video = lift(model, check=(frames, 64, 64))
    out: Tensor = video(torch.zeros(2, 3, frames, 64, 64))
    assert out.shape == (2, 5)
    assert sum(isinstance(m, Conv3T) for m in video.modules()) == sum(
        isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 for m in model.modules()
    )
