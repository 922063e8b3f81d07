#!/usr/bin/env python3
"""PyTorch's group normalisation with SiLU: nanoseconds an element and thread, in the rows of bench_norm.

  python3 bench/peer_norm.py [--threads 1] [--rounds 15] [--json]

Pictures in channels-last layout, as ebb has them, and in NCHW; the better of the two counts. Needs Debian's
python3-torch.
"""
import argparse
import json
import statistics
import sys
import time

try:
    import torch
except ImportError:
    torch = None

SHAPES = [(1, 32, 64), (2, 16, 128), (4, 8, 256), (16, 4, 256), (1, 32, 128), (16, 32, 128)]


def seconds(run, rounds):
    run()
    repeats, start = 1, time.perf_counter()
    run()
    repeats = max(1, int(1e-3 / (time.perf_counter() - start)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            run()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times)


def measure(pictures, side, channels, kind, last, rounds):
    """Forward and adjoint of one shape."""
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(pictures, channels, side, side).to(kind).contiguous(memory_format=layout).requires_grad_()
    gamma = torch.randn(channels, dtype=kind, requires_grad=True)
    beta = torch.randn(channels, dtype=kind, requires_grad=True)
    dy = torch.randn(pictures, channels, side, side).to(kind).contiguous(memory_format=layout)

    def net():
        return torch.nn.functional.silu(torch.nn.functional.group_norm(x, 32, gamma, beta))

    with torch.no_grad():
        forward = seconds(net, rounds)
    y = net()
    adjoint = seconds(lambda: torch.autograd.grad(y, (x, gamma, beta), dy, retain_graph=True), rounds)
    return forward, adjoint


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    args = parser.parse_args()
    if torch is None:
        sys.exit("peer_norm: PyTorch is missing (python3-torch)")
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    rows = {}
    for name, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        for pictures, side, channels in SHAPES:
            try:
                both = [measure(pictures, side, channels, kind, last, args.rounds) for last in (True, False)]
            except RuntimeError as error:          # bfloat16 is missing in older versions
                print(f"{name}: {error}".splitlines()[0])
                break
            numbers = pictures * side * side * channels
            for i, part in enumerate(("forward", "adjoint")):
                per = [1e9 * t[i] * args.threads / numbers for t in both]
                rows[f"{name}/{part}/{pictures}x{side * side}x{channels}"] = per
    if args.json:
        print(json.dumps({row: {"channels_last": a, "nchw": b} for row, (a, b) in rows.items()}))
        return
    print(f"{'row':28} {'channels last':>14} {'NCHW':>8}   ns an element and thread, PyTorch {torch.__version__}")
    for row, (a, b) in rows.items():
        print(f"{row:28} {a:14.2f} {b:8.2f}")


main()
