# ruff: noqa: E501
"""Which ConvNets `threetconv.lift` takes: torchvision's and timm's, lifted and verified, to a table.

Not part of the package: `pip install timm==1.0.31`, then `python benchmarks/lift_table.py` (about 15
minutes of one core) writes docs/lifting.md. Of every architecture of torchvision's classification
and segmentation ConvNets and of timm's pure ConvNets, the smallest network of each code path is
lifted ("3t") and compared with its 2D network on a clip of equal frames (`verify_lift`, float64).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import signal
import warnings
from pathlib import Path
from typing import Any

Row = tuple[str, str, str, str]
DOCS = Path(__file__).parents[1] / "docs" / "lifting.md"
SECONDS = 60

# file of timm -> networks. Networks of files that mix in attention (mobilenetv3's hybrids, byobnet's
# CLIP and BAT) are no pure ConvNets and left out
TIMM = {
    "byobnet": "gernet_s repvgg_a0 repvgg_d2se mobileone_s0 resnet32ts resnet51q seresnext26ts "
    "eca_resnext26ts gcresnext26ts regnetz_b16 regnetz_b16_evos regnetz_d8 test_byobnet",
    "convnext": "convnext_atto convnext_atto_ols convnext_atto_rms convnext_zepto_rms_ols "
    "convnext_tiny_hnf convnext_tiny convnextv2_atto test_convnext test_convnext2",
    "convmixer": "convmixer_768_32",
    "cspnet": "cspresnet50 cspresnext50 cspdarknet53 darknet17 sedarknet21 darknetaa53 "
    "cs3darknet_focus_s cs3sedarknet_l cs3edgenet_x",
    "cspnext": "cspnext_tiny",
    "densenet": "densenet121 densenetblur121d",
    "dla": "dla34 dla46x_c dla60_res2net",
    "dpn": "dpn48b dpn68",
    "efficientnet": "efficientnet_b0 efficientnet_b0_gn efficientnet_b0_g16_evos efficientnet_lite0 "
    "efficientnet_es efficientnet_blur_b0 efficientnet_cc_b0_4e efficientnet_h_b5 efficientnetv2_rw_t "
    "gc_efficientnetv2_rw_t tf_efficientnet_b0 tf_efficientnetv2_b0 fbnetc_100 mixnet_s tf_mixnet_s "
    "mnasnet_small mobilenetv1_100 mobilenetv2_035 semnasnet_050 spnasnet_100 tinynet_e "
    "mobilenet_edgetpu_v2_xs test_efficientnet_ln",
    "fasternet": "fasternet_t0",
    "ghostnet": "ghostnet_050 ghostnetv2_100 ghostnetv3_050",
    "hardcorenas": "hardcorenas_a",
    "hgnet": "hgnet_tiny hgnetv2_b0",
    "hrnet": "hrnet_w18_small hrnet_w18_ssld",
    "inception_next": "inception_next_atto",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "lcnetv2": "lcnetv2_small",
    "mambaout": "mambaout_femto test_mambaout",
    "mobilenetv3": "mobilenetv3_small_050 tf_mobilenetv3_small_minimal_100 fbnetv3_b lcnet_035 "
    "mobilenetv4_conv_small_035 mobilenetv4_conv_blur_medium",
    "nasnet": "nasnetalarge",
    "nfnet": "nfnet_l0 eca_nfnet_l0 nf_regnet_b0 nf_resnet26 nf_ecaresnet26 dm_nfnet_f0 test_nfnet",
    "pnasnet": "pnasnet5large",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002 regnety_002 regnety_040_sgn regnetv_040 regnetz_005",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m1",
    "res2net": "res2net50_48w_2s res2next50",
    "resnest": "resnest14d resnest50d_1s4x24d resnest50d_4s2x40d",
    "resnet": "resnet10t resnet18 resnet18d resnet50_gn resnetblur18 resnetaa34d resnetrs50 "
    "ecaresnet26t ecaresnetlight seresnet18 seresnext26d_32x4d resnext50_32x4d test_resnet",
    "resnetv2": "resnetv2_18 resnetv2_18d resnetv2_50d_gn resnetv2_50d_evos resnetv2_50d_frn "
    "resnetv2_50x1_bit",
    "rexnet": "rexnet_100 rexnetr_100",
    "selecsls": "selecsls42",
    "senet": "legacy_seresnet18 legacy_seresnext26_32x4d",
    "sknet": "skresnet18 skresnext50_32x4d",
    "starnet": "starnet_s050",
    "tresnet": "tresnet_m tresnet_v2_l",
    "vgg": "vgg11 vgg11_bn",
    "vovnet": "vovnet39a ese_vovnet19b_slim_dw eca_vovnet39b ese_vovnet39b_evos",
    "xception": "legacy_xception",
    "xception_aligned": "xception41 xception41p",
}
# not counted: they attend over places
ATTENTION = {
    "csatv2": "csatv2",
    "edgenext": "edgenext_xx_small",
    "efficientvit_mit": "efficientvit_b0 efficientvit_l1",
    "fastvit": "fastvit_t8",
    "metaformer": "poolformer_s12 convformer_s18",
}
TORCHVISION = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 "
    "mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 "
    "resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn wide_resnet50_2"
)
SEGMENTATION = (
    "fcn_resnet50 deeplabv3_resnet50 deeplabv3_mobilenet_v3_large lraspp_mobilenet_v3_large"
)
# (frames, height, width), the first that works; long clips where pooling has no padding
CLIPS = ((8, 64, 64), (32, 64, 64), (96, 96, 96))


def make(package: str, name: str) -> Any:
    if package == "timm":
        return importlib.import_module("timm").create_model(name, num_classes=5)
    models = importlib.import_module(f"torchvision.models{package.removeprefix('torchvision')}")
    options: dict[str, Any] = {"weights": None, "num_classes": 5}
    if package.endswith("segmentation"):
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": False}
    return getattr(models, name)(**options)


class TooSlowError(BaseException):  # not to be taken for an error of the network
    """A network has had its seconds."""


def row(package: str, name: str) -> Row:
    """(package, network, millions of parameters, lifted or why not)."""
    import torch

    torch.manual_seed(0)
    model = make(package, name)
    size = f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}"

    def stop(*_: Any) -> None:
        raise TooSlowError

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor, whatever else runs
    try:
        return package, name, size, outcome(model)
    except TooSlowError:
        return package, name, size, f"not known: it takes over {SECONDS} s"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def outcome(model: Any) -> str:
    """ "lifted (clip)" or the cause of the refusal."""
    import torch

    import threetconv

    # statistics of norms fit the weights: without them numbers grow from layer to layer, and
    # rounding errors with them
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with contextlib.suppress(Exception), torch.no_grad():  # frames may be too small, or uneven
        model.train()(torch.randn(4, 3, *CLIPS[-1][1:]))
    model.eval()
    found = ""
    for clip in CLIPS:
        try:
            threetconv.lift(model, "3t", check=clip)
        except ValueError as error:
            found = " ".join(str(error).split())
            if "cannot be lifted" in found:
                break
            continue  # clips may be too short for its pooling
        return f"lifted ({' x '.join(map(str, clip))})"
    return found


def table(rows: list[Row]) -> list[str]:
    lifted = [(name, size, told) for _, name, size, told in rows if told.startswith("lifted (")]
    by_clip: dict[str, list[str]] = {}
    for name, size, told in lifted:
        clip = told.removeprefix("lifted (").rstrip(")")
        by_clip.setdefault(clip, []).append(f"`{name}` ({size})")
    lines = ["| lifted and verified on clips of | networks (millions of parameters) |", "|---|---|"]
    lines += [f"| {clip} | {', '.join(names)} |" for clip, names in by_clip.items()]
    refused = [(name, told) for _, name, _, told in rows if not told.startswith("lifted (")]
    if refused:
        lines += ["", "| refused | why |", "|---|---|"]
        lines += [f"| `{name}` | {shortened(told)} |" for name, told in refused]
    return lines


def shortened(cause: str) -> str:
    """Layer, operation and cause, without what every message says and folders of this machine."""
    told = re.sub(r"/\S*/site-packages/|/\S*/(?=timm/|torchvision/)", "", cause)
    told = told.split(" expected: on equal frames")[0].replace("|", "/")
    return told if len(told) < 420 else f"{told[:400]} ..."


def count(rows: list[Row]) -> str:
    lifted = sum(told.startswith("lifted (") for *_, told in rows)
    return f"{lifted} of {len(rows)} lifted and verified ({lifted / max(1, len(rows)):.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="only these, printed and not written")
    parser.add_argument("--known", type=Path, help="output of an earlier, unfinished run")
    options = parser.parse_args()
    only = set(options.networks)
    lines = options.known.read_text().splitlines() if options.known else []
    known = {fields[:2]: fields for line in lines if len(fields := tuple(line.split("\t"))) == 4}
    warnings.simplefilter("ignore")
    parts = {
        "torchvision": TORCHVISION.split(),
        "torchvision.segmentation": SEGMENTATION.split(),
        "timm": [name for names in TIMM.values() for name in names.split()],
        "attention": [name for names in ATTENTION.values() for name in names.split()],
    }
    found: dict[str, list[Row]] = {}
    import torch

    torch.set_num_threads(1)
    for part, names in parts.items():
        package = "timm" if part == "attention" else part
        found[part] = []
        for name in names:
            if not only or name in only:
                found[part].append(known.get((package, name)) or row(package, name))
                print(*found[part][-1], sep="\t", flush=True)
    if not only:
        DOCS.write_text("\n".join(document(found)) + "\n")


def document(found: dict[str, list[Row]]) -> list[str]:
    titles = {
        "torchvision": "torchvision, classification",
        "torchvision.segmentation": "torchvision, segmentation",
        "timm": "timm, pure ConvNets",
        "attention": "timm, networks that attend over places as well (not counted above)",
    }
    text = HEAD.split("\n")
    text += [f"- {titles[part]}: {count(rows)}" for part, rows in found.items()]
    for part, rows in found.items():
        text += ["", f"## {titles[part]}", "", *table(rows)]
    return text


HEAD = """# What lifts

`threetconv.lift` makes video networks of 2D ConvNets: torchvision's, timm's, your own. This page is written by
`python benchmarks/lift_table.py` (torch, torchvision and timm 1.0.31; timm is no dependency and is known by the names of its
classes alone). One network a code path, the smallest of its family, is lifted (`"3t"`) and compared with its 2D network on a
clip of equal frames in float64 (`threetconv.verify_lift`): layer by layer, both give the same. Clips are frames x height x
width, the first of three shapes that is long enough. Five classes, random weights.

What a layer or a call becomes, beside convolutions, norms and pools (docstring of `lift`):

| 2D | video |
|---|---|
| `b, c, h, w = x.shape`, `x.size(2)`, `x.ndim` | the sizes of a frame; height and width remember the frames. Given to `view`, `reshape`, `expand`, `interpolate` or pooling as they are, or as `h * w`, they bring time along; `h // 2` does not |
| `nn.ConvTranspose2d` | `nn.ConvTranspose3d` without transforms: time grows by the stride; each frame gets the 2D filter, divided by the number of slices that meet there |
| `nn.ZeroPad2d`, `nn.ReflectionPad2d`, ... | time is padded alike if all four sides are, otherwise not; `F.pad` never pads time |
| `nn.Upsample`, `F.interpolate` with a scale factor | time is scaled too, as rows are: linear for bilinear and bicubic, else nearest |
| `F.interpolate` to a size | every frame is resized alike. Time becomes that of the clip from which the size was read (`y.shape[-2:]`), otherwise it stays |
| `F.conv2d(x, self.weight)` | the filter repeated over depth and divided by it; it has no transforms: write `nn.Conv2d` if it should learn motion |
| `nn.LPPool2d`, `nn.AvgPool2d` with `ceil_mode`, `count_include_pad=False` | averaged over time, of short clips too |
| timm's `Conv2dSame`, `MaxPool2dSame` | frames are padded as TensorFlow does, time alike on both sides |
| timm's `StdConv2d`, `ScaledStdConv2d` | filters are standardised over depth, height and width, and divided by the depth; no `"r2plus1d"` |
| timm's `BatchNormAct2d`, `BlurPool2d` | `nn.BatchNorm3d` and the activation; binomial weights in time too |
| `PixelShuffle`, `Unfold`, `FractionalMaxPool2d`, `MaxUnpool2d`, attention over a fixed grid | refused, with what to write instead |
"""


if __name__ == "__main__":
    main()
