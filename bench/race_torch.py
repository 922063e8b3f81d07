#!/usr/bin/env python3
"""A U-Net's training steps or evaluations: ebb against PyTorch, in turn, ratio of medians.

  python3 bench/race_torch.py build/ebb [--size s|m|l] [--job train|eval] [--batch N] [--precision f32|bf16]
                              [--layout nchw|nhwc] [--rounds 3] [--threads 2] [--torch "COMMAND"] [--json]

A training step is all of it on both sides: noising, forward, backward, Adam, moving average of the weights, on
random data. PyTorch runs the network of data/golden/make_unet_s_step.py, denormals flushed, Adam with foreach; in
bf16 under autocast when it trains, with its weights in bfloat16 when it evaluates. --torch names another Python
that has PyTorch ("chroot DIR python3": this script and the network's are then read in DIR/race).
Needs PyTorch; bf16 needs PyTorch 2. Debian's python3-torch wants libopenblas0-openmp, or its BLAS is the slow
reference one.
"""
import argparse
import contextlib
import importlib.util
import json
import os
import shlex
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = {
    "s": dict(channels=1, base=32, mult=(1, 2, 2), attention=(0, 0, 1)),
    "m": dict(channels=3, base=64, mult=(1, 2, 2, 2), attention=(0, 1, 0, 0)),
    "l": dict(channels=3, base=128, mult=(1, 2, 2, 2), attention=(0, 1, 0, 0)),
}


def network_module():
    near = os.path.join(HERE, "make_unet_s_step.py")
    path = near if os.path.exists(near) else os.path.join(HERE, "..", "data", "golden", "make_unet_s_step.py")
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def training_step(torch, net, x0, bf16):
    batch = x0.shape[0]
    abar = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000), 0)
    params = list(net.p.values())
    adam = torch.optim.Adam(params, lr=2e-4, foreach=True)
    ema = [p.detach().clone() for p in params]

    def step():
        t = torch.randint(0, 1000, (batch,))
        noise = torch.randn_like(x0)
        a = abar[t][:, None, None, None]
        with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext():
            eps = net(a.sqrt() * x0 + (1 - a).sqrt() * noise, t, None)
        loss = torch.nn.functional.mse_loss(eps.float(), noise)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        with torch.no_grad():
            torch._foreach_mul_(ema, 0.9999)
            torch._foreach_add_(ema, params, alpha=1e-4)

    return step


def evaluation(torch, net, x):
    t = torch.full((x.shape[0],), 500)

    def step():
        with torch.inference_mode():
            net(x, t, None)

    return step


def torch_rate(args, seconds):
    """Images a second: the median step of at least five, after two."""
    import torch
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    train, bf16 = args.job == "train", args.precision == "bf16"
    dtype = torch.bfloat16 if bf16 and not train else torch.float32
    layout = torch.channels_last if args.layout == "nhwc" else torch.contiguous_format
    c = SIZES[args.size]
    net = network_module().UNet(dtype, blocks=2, groups=32, classes=0, **c)
    x = (torch.rand(args.batch, c["channels"], 32, 32) * 2 - 1).to(dtype).contiguous(memory_format=layout)
    with torch.no_grad():
        net(x[:1], torch.zeros(1), None)                   # makes the parameters
    for p in net.p.values():
        if p.dim() == 4:
            p.data = p.data.contiguous(memory_format=layout)
    step = training_step(torch, net, x, bf16) if train else evaluation(torch, net, x)
    times = []
    while len(times) < 7 or sum(times[2:]) < seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return args.batch / statistics.median(times[2:])


def ebb_rate(args):
    command = [args.ebb, "speed", "unet-" + args.size, "--" + args.job, "--batch", str(args.batch), "--precision",
               args.precision, "--threads", str(args.threads), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["images_per_second"]


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ebb", help="the program: build/ebb")
    parser.add_argument("--size", choices=SIZES, default="s")
    parser.add_argument("--job", choices=("train", "eval"), default="train")
    parser.add_argument("--batch", type=int, help="64 (training of s), else 16")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw", help="PyTorch's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch", help="command of the Python with PyTorch; default: this one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--torch-once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.batch = args.batch or (64 if (args.size, args.job) == ("s", "train") else 16)
    return args


def rival(args):
    """The command that measures PyTorch once."""
    same = [args.ebb, "--size", args.size, "--job", args.job, "--batch", str(args.batch), "--precision", args.precision,
            "--layout", args.layout, "--threads", str(args.threads), "--torch-once"]
    if args.torch:
        return shlex.split(args.torch) + ["/race/race_torch.py"] + same
    return [sys.executable, os.path.abspath(__file__)] + same


def main():
    args = options()
    if args.torch_once:
        print(torch_rate(args, 5))
        return
    rates = {"ebb": [], "torch": []}
    for _ in range(args.rounds):
        rates["ebb"].append(ebb_rate(args))
        out = subprocess.run(rival(args), check=True, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "OMP_NUM_THREADS": str(args.threads)}).stdout
        rates["torch"].append(float(out.split()[-1]))
    ebb, torch = (statistics.median(rates[k]) for k in ("ebb", "torch"))
    result = {"size": args.size, "job": args.job, "batch": args.batch, "precision": args.precision,
              "ebb_images_per_second": ebb, "torch_images_per_second": torch, "ratio": ebb / torch, "runs": rates}
    print(json.dumps(result) if args.json else
          f"ebb {ebb:.1f}, PyTorch {torch:.1f} images/s; ratio of medians {ebb / torch:.2f} ({args.rounds} rounds)")


if __name__ == "__main__":
    main()
