#!/usr/bin/env python3
"""Whole jobs: training steps, evaluations at 16 pictures and at 1, and 64 pictures by 50 steps of DDIM.

  python3 bench/end_to_end.py build/ebb [OTHER/ebb ...] [--filter REGEX] [--rounds 3] [--json FILE] [--lines]

For unet-s, -m and -l in f32 and bf16, and for sizes beside these: other widths, depths and pictures. Each row is
one `ebb speed` (--lines and --json have its command), run in turn with all others, round after round; shown are
medians, and with several programs (say, of two revisions) their ratio. A sampling run is long: it is in the first
round only. --json writes what bench/compare reads; bench_machine's peak is in it, which tells how busy the
machine was. Rows that this build cannot run are left out, with the reason on stderr.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

SIZES = {
    "unet-s": ["unet-s"], "unet-m": ["unet-m"], "unet-l": ["unet-l"],
    "s/width64": ["unet-s", "net.base=64"], "s/width96": ["unet-s", "net.base=96"],
    "s/blocks1": ["unet-s", "net.blocks=1"], "s/blocks3": ["unet-s", "net.blocks=3"],
    "s/levels4": ["unet-s", "net.mult=1,2,2,2"],
    "s/28x28": ["unet-s", "data.size=28"], "s/64x64": ["unet-s", "data.size=64", "train.batch=16"],
    "m/64x64": ["unet-m", "data.size=64", "train.batch=8"],
}
JOBS = {
    "train": ["--train"], "eval_b16": ["--eval", "--batch", "16"], "eval_b1": ["--eval", "--batch", "1"],
    "ddim50_n64": ["--sample", "--batch", "64", "sample.sampler=ddim", "sample.steps=50"],
}
BESIDE = ("train", "eval_b16", "eval_b1")     # jobs of the sizes beside unet-s, -m, -l
QUICK = {"ddim50_n64": ["--sample", "--batch", "2", "sample.sampler=ddim", "sample.steps=2"],
         "train": ["--train", "--batch", "4"]}


def rows(args):
    for size, recipe in SIZES.items():
        for precision in ("f32", "bf16"):
            for job, options in JOBS.items():
                name = f"{precision}/{job}/{size}"
                if (not size.startswith("unet-") and job not in BESIDE) or not re.search(args.filter, name):
                    continue
                if args.quick:
                    options = QUICK.get(job, options)
                seconds = "0.01" if args.quick else str(args.seconds)
                threads = ["--threads", str(args.threads)] if args.threads else []
                yield name, ["speed", *recipe, *options, "--precision", precision, *threads, "--seconds", seconds,
                             "--json"]


def run(ebb, command):
    """Images a second and what else is told; None where this build cannot."""
    done = subprocess.run([ebb, *command], capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode == 1 and "precision" in done.stderr:
        return None
    sys.exit(f"end_to_end: {ebb} {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")


def peak_us(ebb):
    """Microseconds of a loop of multiply-adds in registers, or None without the benchmarks."""
    program = os.path.join(os.path.dirname(os.path.abspath(ebb)), "bench", "bench_machine")
    if not os.path.exists(program):
        return None
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"end_to_end_{os.getpid()}.json")
    try:
        subprocess.run([program, "--filter", "^peak/f32$", "--quick", "--json", path], check=True, capture_output=True)
        with open(path) as f:
            return json.load(f)["benchmarks"][0]["peak_us"]
    finally:
        if os.path.exists(path):
            os.remove(path)


def measure(args):
    """{row: {"command", "report" of the first run, "us": [[microseconds an image] of each program], "peak": [...]}}"""
    table = {}
    for turn in range(args.rounds):
        for name, command in rows(args):
            if name in table and (table[name] is None or "ddim" in name):
                continue
            row = table.setdefault(name, {"command": command, "us": [[] for _ in args.ebb], "peak": []})
            for i, ebb in enumerate(args.ebb):
                report = run(ebb, command)
                if report is None:
                    print(f"end_to_end: {name} is left out: {ebb} has no such precision", file=sys.stderr)
                    table[name] = None
                    break
                if i == 0:
                    row.setdefault("report", report)
                row["us"][i].append(1e6 / report["images_per_second"])
            else:
                peak = peak_us(args.ebb[0])
                if peak:
                    row["peak"].append(peak)
        print(f"end_to_end: round {turn + 1} of {args.rounds}", file=sys.stderr)
    return {name: row for name, row in table.items() if row is not None}


def spread(times):
    """Interquartile range over median."""
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / statistics.median(times)


def line_of(args, name, row):
    medians = [statistics.median(us) for us in row["us"]]
    line = {"row": name, "images_per_second": 1e6 / medians[0], "rounds": len(row["us"][0]),
            "iqr": spread(row["us"][0]), "batch": row["report"]["batch"], "threads": row["report"]["threads"]}
    if "evaluations" in row["report"]:
        line["evaluations_per_second"] = row["report"]["evaluations"] * line["images_per_second"]
    for i in range(1, len(medians)):
        line[f"program{i + 1}_images_per_second"] = 1e6 / medians[i]
        line[f"ratio{i + 1}"] = medians[i] / medians[0]
    line["command"] = " ".join(["ebb", *row["command"]])
    return line


def show(lines):
    width = max(len(line["row"]) for line in lines)
    print(f"{'row':{width}}  {'images/s':>9}  {'evaluations/s':>13}  {'batch':>5}  {'threads':>7}  {'iqr %':>5}  "
          "against")
    for line in lines:
        evaluations = f"{line['evaluations_per_second']:.1f}" if "evaluations_per_second" in line else ""
        ratios = "  ".join(f"{v:.3f}" for k, v in line.items() if k.startswith("ratio"))
        print(f"{line['row']:{width}}  {line['images_per_second']:9.2f}  {evaluations:>13}  {line['batch']:5}  "
              f"{line['threads']:7}  {100 * line['iqr']:5.1f}  {ratios}")


def compare_file(table):
    """The form of Google Benchmark's results: columns <name>_us and <name>:iqr."""
    benchmarks = []
    for name, row in table.items():
        entry = {"name": name, "iterations": len(row["us"][0])}
        columns = {"ebb" + (str(i + 1) if i else ""): us for i, us in enumerate(row["us"])}
        if row["peak"]:
            columns["peak"] = row["peak"]
        for column, times in columns.items():
            entry[column + "_us"] = statistics.median(times)
            entry[column + ":iqr"] = spread(times)
        benchmarks.append(entry)
    return {"benchmarks": benchmarks}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ebb", nargs="+", help="programs: build/ebb; the others are compared with the first")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only rows whose name matches: ^f32/train/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="default: one a core")
    parser.add_argument("--seconds", type=float, default=3, help="of each row in each round, at least (default: 3)")
    parser.add_argument("--json", metavar="FILE", help="write what bench/compare reads")
    parser.add_argument("--lines", action="store_true", help="one line of JSON a row instead of the table")
    parser.add_argument("--quick", action="store_true", help="tiny batches, one round: only shows that it works")
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    table = measure(args)
    if not table:
        sys.exit(f"end_to_end: nothing to run matches --filter {args.filter}")
    lines = [line_of(args, name, row) for name, row in table.items()]
    if args.lines:
        for line in lines:
            print(json.dumps(line))
    else:
        show(lines)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(compare_file(table), f)


main()
