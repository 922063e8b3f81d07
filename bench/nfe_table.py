#!/usr/bin/env python3
"""A table of results of ebb bench: a row for each sampler and grid, a column for each budget of evaluations.

  python3 bench/nfe_table.py [--best-grid] runs/nfe-toys/results.json [METRIC...]

--best-grid: a row for each sampler, in each column over the best of its grids.
Markdown. Without METRIC: the one that recommendations go by. The best of each budget is bold, with all that cannot be told from it
by their 90% intervals; evaluations that are not the column's stand behind the value. Then the recommendations, and how the best of
each budget compares with the reference.
"""
import json
import math
import sys


def name_of(cell, guided):
    return cell["sampler"] + (f", {cell['grid']}" if cell["grid"] else "") + (f", w {cell['guidance']:g}" if guided else "")


def loss_of(cell, metric):
    found = cell.get("metrics", {}).get(metric["name"])
    if found is None:
        return None
    low, high = (found[k] if found[k] is not None else found["value"] for k in ("low", "high"))
    if metric["better"] == "higher":
        return -found["value"], -high, -low
    if metric["better"] == "near":
        ends = sorted((abs(low - metric["floor"]), abs(high - metric["floor"])))
        return abs(found["value"] - metric["floor"]), 0 if low <= metric["floor"] <= high else ends[0], ends[1]
    return found["value"], low, high


def best_of(cells, metric, budget):
    """Keys of the best at that budget and of those that are not told apart from it."""
    at = {c["key"]: loss_of(c, metric) for c in cells if c["budget"] == budget and loss_of(c, metric)}
    if not at:
        return set()
    best = min(at.values())
    return {key for key, loss in at.items() if loss[1] <= best[2] and loss[2] >= best[1]}


def best_grids(cells, metric):
    """Of each sampler, guidance and budget the best cell, named by its sampler alone."""
    best = {}
    for c in cells:
        at, loss = (c["sampler"], c["guidance"], c["budget"]), loss_of(c, metric)
        if loss and (at not in best or loss < loss_of(best[at], metric)):
            best[at] = c
    return [dict(c, grid="") for c in best.values()]


def table(results, metric, one_grid):
    cells = [c for c in results["cells"] if c["role"] == "cell" and "refused" not in c]
    if one_grid:
        cells = best_grids(cells, metric)
    guided = len({c["guidance"] for c in cells}) > 1
    budgets = sorted({c["budget"] for c in cells if c["budget"] > 0})
    rows, best = {}, {b: best_of(cells, metric, b) for b in budgets}
    for c in cells:
        if c["budget"] > 0:
            rows.setdefault(name_of(c, guided), {})[c["budget"]] = c
    lines = ["| " + metric["name"] + " | " + " | ".join(str(b) for b in budgets) + " |", "|---" * (len(budgets) + 1) + "|"]
    for name, row in rows.items():
        shown = []
        for b in budgets:
            found = row.get(b, {}).get("metrics", {}).get(metric["name"])
            text = f"{found['value']:.3g}" if found else ""
            text = f"**{text}**" if found and row[b]["key"] in best[b] else text
            shown.append(text + (f" ({row[b]['nfe']})" if found and row[b]["nfe"] != b else ""))
        if any(shown):
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
    if metric.get("floor") is not None:
        lines.append(f"| floor: as many true {results['about'].get('unit', 'samples')} | " + f"{metric['floor']:.3g} | " * len(budgets))
    for c in results["cells"]:
        found = c.get("metrics", {}).get(metric["name"])
        if c["role"] != "cell" and found and math.isfinite(found["value"]):
            lines.append(f"\n{c['role']}: {name_of(c, guided)}, {c['nfe']} evaluations: {found['value']:.3g}")
    return "\n".join(lines)


def main():
    words = [word for word in sys.argv[1:] if word != "--best-grid"]
    if not words:
        sys.exit(__doc__)
    with open(words[0]) as f:
        results = json.load(f)
    metrics = {m["name"]: m for m in results["metrics"]}
    for name in words[1:] or [results["metric"]]:
        if name not in metrics:
            sys.exit(f"nfe_table: no metric {name} in {words[0]}: {', '.join(metrics)}")
        print(table(results, metrics[name], "--best-grid" in sys.argv) + "\n")
    for b in results["budgets"]:
        print(f"- {b['nfe']}: {b['text']}")
    print(f"\n`{results['command']}`")


if __name__ == "__main__":
    main()
