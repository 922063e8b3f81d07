#!/usr/bin/env python3
"""What one core and two do, for the predictions of predict.py: limits, times of steps, and whole jobs.

  python3 bench/measure_scaling.py build --out scaling.json [--precision f32,bf16]

The machine should be idle; where it is not, more --rounds help, or --better with what was measured before: of
everything the fastest is kept. build: with the program and bench/. Needs some minutes a precision.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

# recipe, what, pictures a shard: one shard a step
JOBS = [("unet-s", "train", 8), ("unet-s", "train", 4), ("unet-s", "train", 2), ("unet-s", "train", 1),
        ("unet-l", "train", 8), ("unet-l", "train", 2), ("unet-l", "train", 1), ("unet-s", "eval", 8)]
# recipe, what, batch, pictures a shard: by one thread and by two
POINTS = [("unet-s", "train", 64, 8), ("unet-l", "train", 16, 8), ("unet-s", "eval", 16, 8)]
QUICK = [("unet-s", "train", 8), ("unet-s", "eval", 8)], [("unet-s", "train", 16, 8), ("unet-s", "eval", 16, 8)]


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"predict: {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def limits(build, threads, quick):
    """{row: rate} of bench_machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "machine.json")
        subprocess.run([os.path.join(build, "bench", "bench_machine"), "--threads", str(threads), "--filter",
                        "peak|DRAM", "--json", path, *(["--quick"] if quick else [])], check=True,
                       capture_output=True)
        with open(path) as f:
            rows = json.load(f)["benchmarks"]
    return {row["name"].split("/iter")[0]: row.get("GB/s") or row["GFLOP/s"] for row in rows}


def precision_keys(ebb, precision):
    known = any(k["key"] == "precision.type" for k in run_json([ebb, "recipes", "--keys", "--json"]))
    return [f"precision.type={precision}"] if known else []


def measure_job(ebb, recipe, kind, shard, precision, rounds, seconds):
    """One worker's walk, step by step: the shortest of all times each, since other programs only add to it."""
    keys = [recipe, f"train.shard={shard}", f"train.batch={shard}", *precision_keys(ebb, precision)]
    flags = ["--eval"] if kind == "eval" else []
    plan = run_json([ebb, "plan", *keys, *flags, "--json"])
    steps = [{"op": s["op"], "impl": s["implementation"], "phase": s["phase"], "shape": s["shape"], "flops": s["flops"],
              "reads": s["reads"], "writes": s["writes"], "ms": math.inf} for s in plan["steps"]]
    whole = outside = math.inf
    for _ in range(rounds):
        report = run_json([ebb, "speed", *keys, "--" + kind, "--threads", "1", "--seconds", seconds, "--profile",
                           "--json"])
        profile = report["profile"]
        if [(s["op"], s["shape"]) for s in profile["steps"]] != [(s["op"], s["shape"]) for s in steps]:
            sys.exit(f"predict: {recipe}: the plans of `ebb plan` and `ebb speed` differ")
        for step, timed in zip(steps, profile["steps"]):
            step["ms"] = min(step["ms"], timed["least_ms"])
        whole = min(whole, 1e3 * shard / report["max"])
        outside = min(outside, profile["rows"][-1]["share"] * 1e3 * shard / report["images_per_second"])
    walked = sum(s["ms"] for s in steps if s["phase"] == "run" or kind == "train")
    return {"recipe": recipe, "kind": kind, "shard": shard, "precision": precision, "parameters": plan["parameters"],
            "shared_bytes": plan["shared_bytes"], "outside_ms": max(0.0, min(outside, whole - walked)), "steps": steps}


def measure_points(ebb, rows, precision, rounds, seconds):
    """One thread, two, and two ranks of one thread where MPI is there: in turn, the fastest step of each."""
    points = []
    mpi = ["mpirun", "-n", "2", "--oversubscribe"] if shutil.which("mpirun") else None
    if mpi and os.geteuid() == 0:
        mpi.append("--allow-run-as-root")
    for recipe, kind, batch, shard in rows:
        best = {(1, 1): 0.0, (2, 1): 0.0}
        if mpi and kind == "train":
            best[1, 2] = 0.0
        for _ in range(rounds):
            for threads, ranks in best:
                command = [ebb, "speed", recipe, *precision_keys(ebb, precision), "--" + kind, "--batch", str(batch),
                           f"train.shard={shard}", "--threads", str(threads), "--seconds", seconds, "--json"]
                report = run_json((mpi if ranks > 1 else []) + command)
                if report.get("ranks", 1) == ranks:
                    best[threads, ranks] = max(best[threads, ranks], report["max"])
        points += [{"recipe": recipe, "kind": kind, "batch": batch, "shard": shard, "precision": precision,
                    "threads": threads, "ranks": ranks, "images_per_second": rate}
                   for (threads, ranks), rate in best.items() if rate > 0]
    return points


def keep_faster(result, old):
    """Of two measurements of the same build the faster times and rates, one by one."""
    for threads, rates in result["limits"].items():
        for name, rate in old["limits"].get(str(threads), {}).items():
            rates[name] = max(rate, rates.get(name, 0.0))
    key = ("recipe", "kind", "shard", "precision")
    before = {tuple(j[k] for k in key): j for j in old["jobs"]}
    for job in result["jobs"]:
        other = before.get(tuple(job[k] for k in key))
        if other and [(s["op"], s["shape"]) for s in other["steps"]] == [(s["op"], s["shape"]) for s in job["steps"]]:
            job["outside_ms"] = min(job["outside_ms"], other["outside_ms"])
            for step, s in zip(job["steps"], other["steps"]):
                step["ms"] = min(step["ms"], s["ms"])
    key = ("recipe", "kind", "batch", "shard", "precision", "threads", "ranks")
    before = {tuple(p[k] for k in key): p["images_per_second"] for p in old["points"]}
    for point in result["points"]:
        point["images_per_second"] = max(point["images_per_second"], before.get(tuple(point[k] for k in key), 0.0))


def measure(args):
    ebb = args.ebb or os.path.join(args.build, "ebb")
    cpu = run_json([ebb, "info", "cpu", "--json"])
    result = {"cpu": cpu, "limits": {t: limits(args.build, t, args.quick) for t in (1, 2) if t <= cpu["cores"]},
              "jobs": [], "points": []}
    jobs, points = QUICK if args.quick else (JOBS, POINTS)
    seconds = "0.01" if args.quick else "1.5"
    for precision in args.precision.split(","):
        for recipe, kind, shard in jobs:
            result["jobs"].append(measure_job(ebb, recipe, kind, shard, precision, args.rounds, seconds))
            print(f"predict: {recipe} {kind} {precision}, shards of {shard}", file=sys.stderr)
        result["points"] += measure_points(ebb, points, precision, args.rounds, seconds)
    if args.better:
        with open(args.better) as f:
            keep_faster(result, json.load(f))
    with open(args.out, "w") as f:
        json.dump(result, f)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the folder of the build")
    parser.add_argument("--out", required=True)
    parser.add_argument("--ebb", help="the program (default: that of the build)")
    parser.add_argument("--precision", default="f32", help="f32, bf16 or f32,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--better", metavar="FILE", help="an earlier result of this build: keep what was faster there")
    parser.add_argument("--quick", action="store_true", help="two jobs, briefly: only shows that it works")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
