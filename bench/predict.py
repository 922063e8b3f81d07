#!/usr/bin/env python3
"""Predicts training and evaluation on many cores and many machines, from what one core was measured to do.

  python3 bench/measure_scaling.py build --out scaling.json     # on the machine: some minutes
  python3 bench/predict.py scaling.json > bench/scaling.md      # tables; the measured points beside the model
  python3 bench/predict.py scaling.json --json --plot scaling.png --network-gbit 200 25

One idea: a step of a plan takes as long on many cores as on one, unless all of them together ask for more bytes a
second than memory has: t = max(time on one core, cores * bytes / bandwidth). Times are those of the profile
(`ebb speed --profile`), bytes those that miss the caches when the plan's reads and writes (`ebb plan --json`) go
through a cache with least-recently-used replacement. bench/scaling.md says the rest.
"""
import argparse
import collections
import json
import math
import shutil
import subprocess
import sys

BLOCK = 16384                   # bytes: the grain of the simulated cache
LANES_MESSAGES = 2              # of the all-reduce: each rank sends a piece to each other rank, twice
CHUNK_FLOATS, CHUNKS_MIN = 1 << 20, 8      # as src/train/params.c cuts the gradient


# ---- bytes ----------------------------------------------------------------------------------------

def blocks(place):
    home, at, size = place
    if home in ("param", "output"):
        return [(home, at, i) for i in range((size + BLOCK - 1) // BLOCK)]
    return [(home, i) for i in range(at // BLOCK, (at + size - 1) // BLOCK + 1)] if size else []


def memory_bytes(steps, capacity):
    """Bytes that each step of a walk moves between main memory and a cache, in the second walk of two. A write
    fetches its line first and is written back when it leaves the cache."""
    cache, room = collections.OrderedDict(), max(1, capacity // BLOCK)
    moved = [0] * len(steps)
    for _ in range(2):
        for i, step in enumerate(steps):
            count = 0
            for places, dirty in ((step["reads"], False), (step["writes"], True)):
                for place in places:
                    for block in blocks(place):
                        if block in cache:
                            dirty_before = cache.pop(block)
                        else:
                            dirty_before = False
                            count += 1
                        cache[block] = dirty or dirty_before
                        if len(cache) > room:
                            count += cache.popitem(last=False)[1]
            moved[i] = count * BLOCK
    return moved


# ---- a machine ------------------------------------------------------------------------------------

class Machine:
    """cores, clock (over that of the measurement), bandwidth(p) in bytes a second, cache of one of p cores."""

    def __init__(self, cores, clock, core_bandwidth, socket_bandwidth, socket_cores, cache):
        self.cores, self.clock, self.cache = cores, clock, cache
        self.core_bandwidth, self.socket_bandwidth, self.socket_cores = core_bandwidth, socket_bandwidth, socket_cores

    def bandwidth(self, p):
        sockets = math.ceil(p / self.socket_cores)
        return min(p * self.core_bandwidth, sockets * self.socket_bandwidth)


class Job:
    def __init__(self, measured):
        self.__dict__.update(measured)
        self.walk_steps = [s for s in self.steps if s["phase"] == "run"]
        self.prepare_ms = sum(s["ms"] for s in self.steps if s["phase"] == "prepare")
        self.moved = {}

    def bytes_of(self, cache):
        if cache not in self.moved:
            self.moved[cache] = memory_bytes(self.walk_steps, cache)
        return self.moved[cache]

    def walk(self, machine, p):
        """Seconds of each step of a walk while p workers walk."""
        return [max(1e-3 * s["ms"] / machine.clock, p * moved / machine.bandwidth(p))
                for s, moved in zip(self.walk_steps, self.bytes_of(machine.cache(p)))]

    def roof(self, peak, bandwidth, cache):
        """Seconds of a walk that nothing can beat; F(4x4, 3x3) has a quarter of the direct form's products."""
        return sum(max(s["flops"] / (4 if s["impl"] == "winograd" else 1) / peak, moved / bandwidth)
                   for s, moved in zip(self.walk_steps, self.bytes_of(cache)))


def sweep_seconds(job, machine, p):
    """AdamW reads and writes p, m, v and average and reads the gradient, whose norm was read before; then weights
    are packed anew."""
    bandwidth = machine.bandwidth(p)
    pack = max(1e-3 * job.prepare_ms / machine.clock / p, job.shared_bytes / bandwidth)
    return 40 * job.parameters / bandwidth + pack


def chunks_ready(job, walk):
    """When each chunk of the gradient is complete, in seconds from the start of the walk, the earliest first: weights
    of convolutions are nearly all of it, and complete with their step."""
    made, at, times = 0, 0.0, []
    weights = []
    for step, seconds in zip(job.walk_steps, walk):
        at += seconds
        if step["op"] == "conv_dw":
            made += math.prod(int(d) for d in step["shape"].split("x"))
            weights.append((made, at))
    chunk = min(CHUNK_FLOATS, math.ceil(job.parameters / CHUNKS_MIN))
    count = math.ceil(job.parameters / chunk)
    for c in range(1, count + 1):
        need = made * c / count
        times.append((next(t for m, t in weights if m >= need), 4 * chunk))
    return times


def exposed_seconds(job, walk, ranks, network):
    """Of the all-reduce, what is left when the last walk has ended. Each chunk is cut into a piece a rank, sent to
    its owner, summed, and sent to all; chunks queue for the network, latency passes while others are sent."""
    free, done = 0.0, 0.0
    for ready, size in chunks_ready(job, walk):
        busy = LANES_MESSAGES * (ranks - 1) * (size / ranks / network["bandwidth"] + network["overhead"])
        start = max(ready, free)
        free = start + busy
        done = free + LANES_MESSAGES * network["latency"]
    return max(0.0, done - sum(walk)) if ranks > 1 else 0.0


def training_rate(job, machine, p, batch, ranks=1, network=None):
    """Images a second of all ranks; batch: of each."""
    shards = max(1, batch // job.shard)
    active, turns = min(p, shards), math.ceil(shards / p)
    walk = job.walk(machine, active)
    # The job was measured with one shard a step: what is outside of it is filling that shard, and the sweep.
    one = Machine(1, 1, machine.core_bandwidth, machine.socket_bandwidth, 1, machine.cache)
    fill = max(0.0, 1e-3 * job.outside_ms - 40 * job.parameters / one.bandwidth(1)) / machine.clock
    sums = 12 * job.parameters * (shards - 1) / machine.bandwidth(active)
    seconds = turns * (sum(walk) + fill) + sums + sweep_seconds(job, machine, p)
    if ranks > 1:
        seconds += exposed_seconds(job, walk, ranks, network)
    return ranks * batch / seconds


def evaluation_rate(job, machine, p, batch):
    shards = max(1, math.ceil(batch / job.shard))
    return batch / (math.ceil(shards / p) * sum(job.walk(machine, min(p, shards))))


# ---- the page -------------------------------------------------------------------------------------

def assumed(args, data):
    """A server of processors like the one that was measured."""
    one = data["limits"]["1"]
    return Machine(args.cores, args.clock, 1e9 * one["copy/DRAM"], 1e9 * args.socket_bandwidth, args.socket_cores,
                   lambda p: int(args.cache * 2**20))


def here(data):
    sizes = {c["cache"]: c["bytes"] * c["instances"] for c in data["cpu"]["caches"]}
    cores, rates = data["cpu"]["cores"], data["limits"]
    two = rates.get("2", rates["1"])
    return Machine(cores, 1, 1e9 * rates["1"]["copy/DRAM"], 1e9 * max(two["copy/DRAM"], rates["1"]["copy/DRAM"]), cores,
                   lambda p: sizes.get("L2", 0) // cores + sizes.get("L3", 0) // p)


def find(jobs, recipe, kind, precision, shard):
    return next(j for j in jobs if (j.recipe, j.kind, j.precision, j.shard) == (recipe, kind, precision, shard))


def check_points(data, jobs):
    rows, machine = [], here(data)
    for p in data["points"]:
        job = find(jobs, p["recipe"], p["kind"], p["precision"], p["shard"])
        if p["kind"] == "eval":
            model = evaluation_rate(job, machine, p["threads"], p["batch"])
        else:
            # Ranks of one machine share its memory, and are each other's network: a copy in, and one out.
            ranks, part = p["ranks"], machine.socket_bandwidth / p["ranks"]
            share = Machine(p["threads"], 1, min(machine.core_bandwidth, part), part, machine.cores,
                            lambda n, ranks=ranks: machine.cache(n * ranks))
            local = {"bandwidth": machine.socket_bandwidth / 4, "latency": 1e-6, "overhead": 1e-6}
            model = training_rate(job, share, p["threads"], p["batch"] // ranks, ranks, local)
        rows.append({**p, "model": model, "error": model / p["images_per_second"] - 1})
    return rows


def core_counts(args):
    return [c for c in (1, 2, 8, 16, 32, 64, 128) if c <= args.cores]


def title(gbit):
    return f"{gbit:g} Gbit/s"


def predict(args, data):
    jobs = [Job(j) for j in data["jobs"]]
    machine = assumed(args, data)
    networks = {title(gbit): {"bandwidth": 0.9 * gbit * 1e9 / 8, "latency": 1e-6 * args.network_latency,
                              "overhead": 1e-6 * args.network_overhead} for gbit in args.network_gbit}
    result = {"points": check_points(data, jobs), "cores": [], "fixed": [], "machines": [], "roof": []}
    first = here(data)
    for job in jobs:
        seconds = 1e-3 * sum(s["ms"] for s in job.walk_steps)
        peak = 1e9 * data["limits"]["1"]["peak/" + ("bf16" if job.precision == "bf16" else "f32")]
        result["roof"].append({"recipe": job.recipe, "kind": job.kind, "precision": job.precision, "shard": job.shard,
                               "GFLOP": sum(s["flops"] for s in job.walk_steps) / 1e9,
                               "operands_MB": sum(p[2] for s in job.walk_steps for p in s["reads"] + s["writes"]) / 1e6,
                               "memory_MB": sum(job.bytes_of(machine.cache(1))) / 1e6, "ms": 1e3 * seconds,
                               "roof_ms": 1e3 * job.roof(peak, first.bandwidth(1), first.cache(1))})
    for job in (j for j in jobs if j.shard == 8):
        base = None
        for p in core_counts(args):
            rate = (training_rate(job, machine, p, 8 * p) if job.kind == "train"
                    else evaluation_rate(job, machine, p, 8 * p))
            base = base or rate
            demand = p * sum(job.bytes_of(machine.cache(p))) / (1e-3 * sum(s["ms"] for s in job.walk_steps))
            result["cores"].append({"recipe": job.recipe, "kind": job.kind, "precision": job.precision, "cores": p,
                                    "images_per_second": rate, "efficiency": rate / base / p,
                                    "demand_GB/s": 1e-9 * demand, "bandwidth_GB/s": 1e-9 * machine.bandwidth(p)})
    for recipe, batch in (("unet-s", 64), ("unet-l", 16)):
        for precision in sorted({j.precision for j in jobs}):
            candidates = [j for j in jobs if (j.recipe, j.kind, j.precision) == (recipe, "train", precision)]
            for p in core_counts(args) if candidates else ():
                rate, shard = max((training_rate(j, machine, p, batch), j.shard) for j in candidates)
                result["fixed"].append({"recipe": recipe, "precision": precision, "batch": batch, "cores": p,
                                        "shard": shard, "images_per_second": rate})
    for job in (j for j in jobs if j.kind == "train" and j.shard in (1, 8)):
        p = min(machine.socket_cores, machine.cores)
        alone = training_rate(job, machine, p, job.shard * p)
        for ranks in (1, 2, 4, 8, 16, 32, 64):
            row = {"recipe": job.recipe, "precision": job.precision, "pictures_a_core": job.shard, "machines": ranks}
            for name, net in networks.items():
                rate = training_rate(job, machine, p, job.shard * p, ranks, net)
                row[name] = {"images_per_second": rate, "efficiency": rate / alone / ranks}
            result["machines"].append(row)
    return result


def table(rows, columns):
    """Markdown; columns: title -> format of a row."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(form(r) for form in columns.values()) + " |" for r in rows]
    return "\n".join(lines)


def name_of(r):
    return f"{r['recipe']} {r.get('kind', 'train')} {r['precision']}"


TEXT = """# How far it scales

Made by `python3 bench/measure_scaling.py build --out scaling.json` and `python3 bench/predict.py scaling.json`
({cpu}). Everything but the table of measured points is a **prediction**: no
machine of more than {cores} cores was there to try it.

## The model

One core's time for each step of a plan is measured (`ebb speed --profile`, one thread; the shortest time of
each step, as other programs only add to it). On p cores a step takes

    t = max(t of one core / clock,  p * bytes / bandwidth(p))
    bandwidth(p) = min(p * that of one core,  sockets * that of a socket)

where bytes are what the step moves to and from main memory: the plan's reads and writes, in order, through a cache of
a core's share of L2 and L3 with least-recently-used replacement ({block} KiB blocks; a write fetches its line first).
Workers of one step's loop are taken to be in the same step at the same time, when they disturb each other most. A
training step is `ceil(shards / p)` walks, the sums of the shards' gradients (12 bytes a number each), the sweep of
AdamW (40 bytes a number) and the packing of weights. Between machines, a chunk of the gradient (at most 4 MiB) is cut
into a piece a rank, sent to its owner, summed, and sent to all: `2 (R-1) (chunk/R / bandwidth + overhead)`, one after
the other, while the backward walk goes on; only what is left when the walk has ended counts. Not in the model:
waiting for slow machines, remote memory (threads keep to their domain), clocks that fall with the load beyond the
factor below.

## Assumptions

The machine is a server of processors like the one measured here. All of it can be changed on the command line.

| | |
|---|---|
| peak of a core | {peak_f32:.0f} GFLOP/s f32{peak_bf16} (measured) |
| clock with all cores at work, over that of the measurement | {clock} |
| main memory: one core; two cores here | {bw1:.1f}; {bw2:.1f} GB/s (measured: copy) |
| main memory: a socket of {socket_cores} cores | {bws:.0f} GB/s (12 channels of DDR5-4800 at 80%) |
| cache of a core | {cache} MiB (1 MiB of L2, 32 MiB of L3 for 8 cores) |
| network | {gbit} Gbit/s at 90%, latency {latency} us, {overhead} us a message |

## Measured points, and the error of the model there

{points}

The fastest step counts, on both sides: the machine did other work besides. The largest error is {worst:.0f} %.

## One core, and its roof

The roof is what the measured peak and bandwidth allow: per step the larger of FLOPs / peak (a quarter of them for
Winograd's method) and bytes / bandwidth. Bytes to memory are with {cache} MiB of cache.

{roof}

## Cores of one machine, 8 pictures a core

Above 100 %: sweep and packing of weights, which one core does for 8 pictures, are shared.

{by_cores}

## Cores of one machine, the recipe's batch

Only as many workers have work as there are shards; so smaller shards are taken where they pay, of 1, 2, 4 (unet-s)
and 8 pictures. `train.shard` is part of the recipe: another shard gives other bits.

{fixed}

## Machines of {machine_cores} cores

Efficiency against as many machines on their own. The less work a core has between two sums, the more of the
all-reduce is left when the walk has ended.

{machines}
"""


def page(args, data, result):
    one, two = data["limits"]["1"], data["limits"].get("2", data["limits"]["1"])
    images = {"images/s": lambda r: f"{r['images_per_second']:.1f}"}
    percent = {"efficiency": lambda r: f"{100 * r['efficiency']:.0f} %"}
    points = table(result["points"], {
        "what": name_of, "batch": lambda r: str(r["batch"]), "threads": lambda r: str(r["threads"]),
        "ranks": lambda r: str(r["ranks"]), "measured, images/s": lambda r: f"{r['images_per_second']:.1f}",
        "model": lambda r: f"{r['model']:.1f}", "error": lambda r: f"{100 * r['error']:+.0f} %"})
    roof = table(result["roof"], {
        "what": name_of, "shard": lambda r: str(r["shard"]), "GFLOP": lambda r: f"{r['GFLOP']:.1f}",
        "operands, MB": lambda r: f"{r['operands_MB']:.0f}", "to memory, MB": lambda r: f"{r['memory_MB']:.0f}",
        "measured, ms": lambda r: f"{r['ms']:.1f}", "roof, ms": lambda r: f"{r['roof_ms']:.1f}",
        "roof / measured": lambda r: f"{r['roof_ms'] / r['ms']:.2f}"})
    by_cores = table(result["cores"], {
        "what": name_of, "cores": lambda r: str(r["cores"]), **images, **percent,
        "memory asked for, GB/s": lambda r: f"{r['demand_GB/s']:.0f}",
        "there is": lambda r: f"{r['bandwidth_GB/s']:.0f}"})
    fixed = table(result["fixed"], {
        "what": name_of, "batch": lambda r: str(r["batch"]), "cores": lambda r: str(r["cores"]),
        "shard": lambda r: str(r["shard"]), **images})
    machines = table(result["machines"], {
        "what": name_of, "pictures a core": lambda r: str(r["pictures_a_core"]),
        "machines": lambda r: str(r["machines"]),
        **{title(g) + ", images/s (efficiency)": lambda r, g=g: "{images_per_second:.0f} ({share:.0f} %)".format(
            **r[title(g)], share=100 * r[title(g)]["efficiency"]) for g in args.network_gbit}})
    return TEXT.format(
        cpu=f"{data['cpu']['kernels']}, {data['cpu']['cores']} cores", cores=data["cpu"]["cores"], block=BLOCK // 1024,
        peak_f32=one["peak/f32"], peak_bf16=f", {one['peak/bf16']:.0f} bf16" if "peak/bf16" in one else "",
        clock=args.clock, bw1=one["copy/DRAM"], bw2=two["copy/DRAM"], bws=args.socket_bandwidth,
        socket_cores=args.socket_cores, cache=args.cache, gbit=" or ".join(f"{g:g}" for g in args.network_gbit),
        latency=args.network_latency, overhead=args.network_overhead, points=points,
        worst=100 * max(abs(r["error"]) for r in result["points"]), roof=roof, by_cores=by_cores,
        fixed=fixed, machines=machines, machine_cores=min(args.socket_cores, args.cores))


def plot(result, path):
    if not shutil.which("gnuplot"):
        print("predict: no gnuplot, no plot", file=sys.stderr)
        return
    names = sorted({name_of(r) for r in result["cores"]})
    data = "".join(f"$d{i} << EOD\n" + "".join(f"{r['cores']} {r['images_per_second']}\n" for r in result["cores"]
                                              if name_of(r) == n) + "EOD\n" for i, n in enumerate(names))
    points = "$p << EOD\n" + "".join(f"{r['threads']} {r['images_per_second']}\n" for r in result["points"]) + "EOD\n"
    curves = ", ".join(f"$d{i} with linespoints title '{n}'" for i, n in enumerate(names))
    script = (f"set terminal png size 800,600\nset output '{path}'\nset logscale xy 2\nset key left\nset grid\n"
              f"set xlabel 'cores, 8 pictures each'\nset ylabel 'images/s'\n{data}{points}plot {curves}, "
              "$p with points pt 7 title 'measured'\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="of measure_scaling.py")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead")
    parser.add_argument("--plot", metavar="PNG", help="by gnuplot, where it is installed")
    parser.add_argument("--cores", type=int, default=128)
    parser.add_argument("--clock", type=float, default=0.85)
    parser.add_argument("--socket-cores", type=int, default=64)
    parser.add_argument("--socket-bandwidth", type=float, default=370, help="GB/s")
    parser.add_argument("--cache", type=float, default=5, help="MiB of L2 and L3 for each core")
    parser.add_argument("--network-gbit", type=float, nargs="+", default=[100, 10])
    parser.add_argument("--network-latency", type=float, default=5, help="us")
    parser.add_argument("--network-overhead", type=float, default=1, help="us a message")
    args = parser.parse_args()
    with open(args.file) as f:
        data = json.load(f)
    result = predict(args, data)
    print(json.dumps(result) if args.json else page(args, data, result), end="\n" if args.json else "")
    if args.plot:
        plot(result, args.plot)


if __name__ == "__main__":
    main()
