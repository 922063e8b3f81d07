#!/usr/bin/env python3
"""Training steps of U-Net S in f32: ebb against PyTorch, in turn, ratio of medians.

  python3 bench/race_torch.py build/ebb [--rounds 3] [--threads 2] [--json]

Both do whole steps at batch 64: noising, forward, backward, Adam, moving average of the weights, on random
data. PyTorch runs the network of data/golden/make_unet_s_step.py (NCHW, denormals flushed, Adam with foreach).
Needs Debian's python3-torch; with libopenblas0-openmp, or its BLAS is the slow reference one.
"""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH = 64


def network_module():
    path = os.path.join(ROOT, "data", "golden", "make_unet_s_step.py")
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def torch_rate(threads, seconds):
    """Images a second: the median step of at least five, after two."""
    import torch
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    golden = network_module()
    net = golden.UNet(torch.float32, **golden.NETS["unet_s"])
    x0 = torch.rand(BATCH, 1, 32, 32) * 2 - 1
    abar = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000), 0)
    net(x0[:1], torch.zeros(1), None)                      # makes the parameters
    params = list(net.p.values())
    adam = torch.optim.Adam(params, lr=2e-4, foreach=True)
    ema = [p.detach().clone() for p in params]
    times = []
    while len(times) < 7 or sum(times[2:]) < seconds:
        start = time.perf_counter()
        t = torch.randint(0, 1000, (BATCH,))
        noise = torch.randn_like(x0)
        a = abar[t][:, None, None, None]
        loss = torch.nn.functional.mse_loss(net(a.sqrt() * x0 + (1 - a).sqrt() * noise, t, None), noise)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        with torch.no_grad():
            torch._foreach_mul_(ema, 0.9999)
            torch._foreach_add_(ema, params, alpha=1e-4)
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[2:])


def ebb_rate(ebb, threads):
    command = [ebb, "speed", "unet-s", "--train", "--batch", str(BATCH), "--threads", str(threads), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ebb", help="the program: build/ebb")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--torch-once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_once:
        print(torch_rate(args.threads, 6))
        return
    rates = {"ebb": [], "torch": []}
    again = [sys.executable, os.path.abspath(__file__), args.ebb, "--threads", str(args.threads), "--torch-once"]
    for _ in range(args.rounds):
        rates["ebb"].append(ebb_rate(args.ebb, args.threads))
        out = subprocess.run(again, check=True, capture_output=True, text=True,
                             env={**os.environ, "OMP_NUM_THREADS": str(args.threads)}).stdout
        rates["torch"].append(float(out.split()[-1]))
    ebb, torch = (statistics.median(rates[k]) for k in ("ebb", "torch"))
    result = {"ebb_images_per_second": ebb, "torch_images_per_second": torch, "ratio": ebb / torch, "runs": rates}
    print(json.dumps(result) if args.json else
          f"ebb {ebb:.1f}, PyTorch {torch:.1f} images/s; ratio of medians {ebb / torch:.2f} ({args.rounds} rounds)")


if __name__ == "__main__":
    main()
