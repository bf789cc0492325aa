"""What each part of the recipe changes: balance, terms of the loss, ageing, hints, a discriminator.

    python benchmarks/quality/ablation.py --photos=PHOTOS --weights=WEIGHTS --out=runs/ablation

A U-Net is trained with L1 alone (`base`). Each variant trains it on for two more epochs, with one thing changed; `VARIANTS`
below lists them. `unet` changes nothing. `release` takes what configs/release.py takes of the others. `shallow` and
`gan_shallow` are another network and start from nothing.

A run that was cut off goes on, and a finished one stays as it is. A run with other settings is refused. The last lines are
the evaluate.py command that compares them all. WEIGHTS is an ImageNet ResNet-18 file, for the encoder and the perceptual term.
"""

import importlib
import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common

TUNED = {"epochs": 2, "learning_rate": 1.5e-4, "init_from": "base"}
BALANCED = {"data.balance": "temperature"}
PERCEPTUAL = {"loss.perceptual": 0.2}
VIVID = {"loss.colourfulness": 0.15}
DELTA_E = {"loss.delta_e": 1.0}
PSNR = {"loss.psnr": 0.6}
RELEASED = {"loss.colourfulness": 0.12, "data.aged": 0.15, "data.unhinted": 0.6}
AGED = {"data.aged": 0.5}
PATCHES = {"model.stem": "strided", "discriminator.layers": 2}  # of 34 pixels: small pictures
VARIANTS = {
    "base": ("unet_fast", {"epochs": 6}),
    "unet": ("unet_fast", TUNED),
    "both": ("unet_fast", TUNED | BALANCED | PERCEPTUAL),
    "gan": ("gan", TUNED | PATCHES),
    "gan_light": ("gan", TUNED | PATCHES | {"loss.adversarial": 0.2}),
    "balance": ("unet_fast", TUNED | BALANCED),
    "perceptual": ("unet_fast", TUNED | PERCEPTUAL),
    "shallow": ("shallow", {}),
    "gan_shallow": ("gan_shallow", {"discriminator.layers": 2}),
    "rarity": ("unet_fast", TUNED | {"loss.rarity": 0.25}),
    "rarity_perceptual": ("unet_fast", TUNED | PERCEPTUAL | {"loss.rarity": 0.2}),
    "histogram": ("unet_fast", TUNED | {"data.balance": "histogram"}),
    "colourfulness": ("unet_fast", TUNED | VIVID),
    "colourfulness_more": ("unet_fast", TUNED | {"loss.colourfulness": 0.2}),
    "delta_e": ("unet_fast", TUNED | DELTA_E),
    "aged": ("unet_fast", TUNED | AGED),
    "guided": ("guided", TUNED | {"model.stem": "strided"}),
    "psnr": ("unet_fast", TUNED | PSNR),
    "release": ("guided", TUNED | {"model.stem": "strided"} | DELTA_E | PSNR | RELEASED),
}


def config_of(name, args):
    module, changes = VARIANTS[name]
    config = importlib.import_module(f"configs.{module}").get_config()
    common = {
        "image_size": args.image_size,
        "data.source": "folder",
        "data.dir": str(args.photos),
        "data.limit": args.limit,
        "data.limit_per_group": 0,
        "batch_size": args.batch_size,
        "ema": args.ema,
        "pretrained": str(args.weights) if config.model.name == "resnet_unet" else "",
        "log_every": 20,
    }
    config.update_from_flattened_dict(common | changes)
    if config.init_from:
        config.init_from = str(args.start or args.out / config.init_from)
        config.epochs = args.epochs
    return config.lock()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs; first-level folders are groups")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-18 weights, .pth or .safetensors")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=4000)
    parser.add_argument("--start", type=Path, help="a trained network in the place of `base`")
    parser.add_argument("--epochs", type=int, default=2, help="of each way (default: 2)")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    args = parser.parse_args()

    import train

    for name in args.only:
        config = config_of(name, args)
        print(f"\n== {name}", flush=True)
        start = time.perf_counter()
        train.train(config, args.out / name)
        print(f"== {name}: {time.perf_counter() - start:.0f} s", flush=True)
    named = [f"--ckpt={shlex.quote(str(args.out / name))}" for name in args.only if name != "base"]
    print("\ncompare them:\n  python evaluate.py " + " ".join([*named, f"--out={shlex.quote(str(args.out / 'report'))}"]))


if __name__ == "__main__":
    main()
