// The report of ebb bench: draws what was measured. All state is in `view`; `draw()` shows it.
"use strict";
(() => {
const results = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const COLOURS = 7, SHAPES = ["circle", "square", "diamond", "triangle", "cross"];
const metrics = new Map(results.metrics.map(m => [m.name, m]));
const cells = results.cells.filter(c => !c.refused);
const guided = new Set(cells.map(c => c.guidance)).size > 1;

// ---- small helpers ----------------------------------------------------------------------------------------------------
// Three digits, without an exponent where that can be read.
function short(x) {
  if (!Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return x.toExponential(2).replace(/\.?0*e\+?/, "e");
  return size >= 100 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3)));
}
function duration(s) {
  const unit = s >= 1 ? [1, " s"] : s >= 1e-3 ? [1e3, " ms"] : [1e6, " µs"];
  return short(s * unit[0]) + unit[1];
}
function make(tag, attributes, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "circle", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const seriesKey = c => c.sampler + "|" + c.grid + "|" + c.guidance;
const found = (c, metric) => (c.metrics && c.metrics[metric]) || {};
const seconds = c => 1 / c.per_second;
const cost = { nfe: c => c.nfe, seconds };
function nameOf(c) { return c.sampler + " over " + c.grid + (guided || c.guidance ? ", guidance " + short(c.guidance) : ""); }

// Such that less is better.
function loss(c, metric) {
  const value = found(c, metric.name).value;
  if (!Number.isFinite(value)) return NaN;
  return metric.better === "higher" ? -value : metric.better === "near" ? Math.abs(value - metric.floor) : value;
}
function frontOf(list, of, metric) {
  const points = list.map(c => ({ c, cost: of(c), loss: loss(c, metric) })).filter(p => Number.isFinite(p.cost + p.loss));
  const beats = (a, b) => a.cost <= b.cost && a.loss <= b.loss && (a.cost < b.cost || a.loss < b.loss);
  return points.filter(p => !points.some(q => beats(q, p))).sort((a, b) => a.cost - b.cost).map(p => p.c);
}

// ---- what is shown ----------------------------------------------------------------------------------------------------
const samplers = [...new Set(cells.filter(c => c.role === "cell").map(c => c.sampler))];
const view = { metric: results.metric, on: new Set(samplers), sort: "", descending: false };
const metric = () => metrics.get(view.metric);
const visible = () => cells.filter(c => c.role === "cell" && view.on.has(c.sampler));

// The best samplers have colours of their own, the others are grey: first those that are recommended, then by their places among
// all within each budget.
function rankSamplers() {
  const m = metrics.get(results.metric), places = new Map(samplers.map(name => [name, 0]));
  for (const b of results.budgets) {
    const best = name => Math.min(Infinity, ...cells.filter(c => c.role === "cell" && c.sampler === name && c.nfe <= b.nfe).map(c => loss(c, m)).filter(Number.isFinite));
    [...samplers].sort((x, y) => best(x) - best(y) || 0).forEach((name, i) => places.set(name, places.get(name) + i));
  }
  const chosen = new Set(results.budgets.map(b => cells.find(c => c.key === b.key)).filter(Boolean).map(c => c.sampler));
  return [...chosen, ...samplers.filter(name => !chosen.has(name)).sort((x, y) => places.get(x) - places.get(y))];
}
const ranked = rankSamplers();
const colourOf = name => ranked.indexOf(name) < COLOURS ? ranked.indexOf(name) : -1;
const shapeOf = name => SHAPES[ranked.indexOf(name) % SHAPES.length];

function paint(node, name) {
  const colour = colourOf(name);
  if (colour >= 0) node.style.color = "var(--c" + colour + ")";
  else node.classList.add("other");
}
function mark(shape, x, y, r) {
  const d = { circle: `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
    square: `M${x - r * 0.9},${y - r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`,
    diamond: `M${x},${y - r * 1.25}l${r * 1.25},${r * 1.25}l${-r * 1.25},${r * 1.25}l${-r * 1.25},${-r * 1.25}Z`,
    triangle: `M${x},${y - r * 1.2}l${r * 1.15},${r * 2.1}h${-2.3 * r}Z`,
    cross: `M${x - r},${y - r / 2.6}h${r / 1.6}v${-r / 1.6}h${r / 1.3}v${r / 1.6}h${r / 1.6}v${r / 1.3}h${-r / 1.6}v${r / 1.6}h${-r / 1.3}v${-r / 1.6}h${-r / 1.6}Z` };
  return make("path", { d: d[shape], class: "dot" });
}

// ---- axes -------------------------------------------------------------------------------------------------------------
function scaleOf(values, from, to) {
  const least = Math.min(...values), most = Math.max(...values), log = least > 0 && most / least > 2;
  const f = log ? Math.log10 : x => x;
  let lo = f(least), hi = f(most);
  const room = (hi - lo || Math.abs(hi) || 1) * 0.06;
  lo -= room; hi += room;
  const at = x => from + (f(x) - lo) / (hi - lo) * (to - from);
  return { at, log, lo: log ? 10 ** lo : lo, hi: log ? 10 ** hi : hi };
}
function ticksOf(s, most) {
  const ticks = [];
  if (s.log) {
    const decades = Math.log10(s.hi / s.lo), parts = decades > most ? [1] : decades > most / 3 ? [1, 3] : [1, 2, 5];
    for (let e = Math.floor(Math.log10(s.lo)); e <= Math.ceil(Math.log10(s.hi)); e++)
      for (const m of parts) { const x = m * 10 ** e; if (x >= s.lo && x <= s.hi) ticks.push(x); }
    const every = Math.ceil(ticks.length / most);
    return ticks.filter((_, i) => i % every === 0);
  }
  const rough = (s.hi - s.lo) / most, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * unit).find(x => x >= rough);
  for (let x = Math.ceil(s.lo / step) * step; x <= s.hi; x += step) ticks.push(Math.abs(x) < step / 1e6 ? 0 : x);
  return ticks;
}

// ---- a chart ----------------------------------------------------------------------------------------------------------
const charts = { nfe: { box: $("by-nfe"), title: "evaluations of the network a sample", say: short },
  seconds: { box: $("by-seconds"), title: "time of a sample", say: duration } };

// Levels that all are held against: the floor, the reference, a learned score's own error.
function levels(m) {
  const list = Number.isFinite(m.floor) ? [{ y: m.floor, text: "floor" }] : [];
  const of = role => cells.find(c => c.role === role && (view.level === undefined || c.guidance === view.level));
  const reference = of("reference"), score = of("score");
  if (reference && Number.isFinite(found(reference, m.name).value))
    list.push({ y: found(reference, m.name).value, text: "reference" });
  if (score && Number.isFinite(found(score, m.name).value)) list.push({ y: found(score, m.name).value, text: "learned score" });
  return list;
}
function groups(list) {
  const map = new Map();
  for (const c of list) {
    if (!map.has(seriesKey(c))) map.set(seriesKey(c), []);
    map.get(seriesKey(c)).push(c);
  }
  return map;
}
// Pushes labels apart, from the top down and back up again.
function spread(labels, top, bottom, gap) {
  labels.sort((a, b) => a.y - b.y);
  for (let i = 0; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, i ? labels[i - 1].y + gap : top);
  for (let i = labels.length - 1; i >= 0; i--) labels[i].y = Math.min(labels[i].y, i < labels.length - 1 ? labels[i + 1].y - gap : bottom);
}
function drawAxes(svg, x, y, area, chart, m, narrow) {
  for (const t of ticksOf(y, 6)) {
    const at = y.at(t);
    svg.append(make("line", { class: "grid", x1: area.left, x2: area.right, y1: at, y2: at }),
      make("text", { x: area.left - 8, y: at + 4, "text-anchor": "end" }, short(t)));
  }
  for (const t of ticksOf(x, narrow ? 4 : 7)) {
    const at = x.at(t);
    svg.append(make("line", { class: "axis", x1: at, x2: at, y1: area.bottom, y2: area.bottom + 5 }),
      make("text", { x: at, y: area.bottom + 19, "text-anchor": "middle" }, chart.say(t)));
  }
  svg.append(make("line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }),
    make("text", { x: area.right, y: area.bottom + 36, "text-anchor": "end" }, chart.title),
    make("text", { x: 0, y: 14 }, m.name + (m.better === "lower" ? ", less is better" : m.better === "higher" ? ", more is better" : ", near the floor is better")));
}
function drawSeries(svg, name, list, chart, x, y, area, points) {
  const m = metric(), group = make("g", { class: "series", "data-series": name });
  paint(group, list[0].sampler);
  const dots = list.map(c => ({ c, x: x.at(chart.of(c)), y: y.at(found(c, m.name).value) })).sort((a, b) => a.x - b.x);
  // A sampler has one colour; its second grid is dashed, its third dotted.
  const nth = [...new Set(cells.filter(c => c.sampler === list[0].sampler && c.role === "cell").map(seriesKey))].indexOf(name);
  group.append(make("path", { d: "M" + dots.map(p => p.x.toFixed(1) + "," + p.y.toFixed(1)).join("L"), "stroke-dasharray": ["none", "7 4", "2 4"][Math.min(nth, 2)] }));
  for (const p of dots) {
    const f = found(p.c, m.name);
    const low = y.log && f.low <= 0 ? y.lo : f.low;
    if (Number.isFinite(f.low) && Number.isFinite(f.high))
      group.append(make("line", { class: "whisker", x1: p.x, x2: p.x, y1: Math.min(y.at(low), area.bottom), y2: Math.max(y.at(f.high), area.top) }));
  }
  for (const p of dots) {
    const dot = mark(shapeOf(p.c.sampler), p.x, p.y, colourOf(p.c.sampler) < 0 ? 2.6 : 3.8);
    dot.dataset.key = p.c.key;
    group.append(dot);
    points.push({ ...p, series: name });
  }
  svg.append(group);
  return dots[dots.length - 1];
}
function drawFront(svg, chart, x, y) {
  const m = metric(), front = frontOf(visible(), chart.of, m);
  let d = "";
  front.forEach((c, i) => {
    const at = [x.at(chart.of(c)), y.at(found(c, m.name).value)];
    d += i ? `H${at[0]}V${at[1]}` : `M${at[0]},${at[1]}`;
    svg.append(make("circle", { class: "ring", cx: at[0], cy: at[1], r: 7 }));
  });
  if (d) svg.append(make("path", { class: "front", d }));
}
function drawLabels(svg, ends, area) {
  const labels = ends.map(e => ({ ...e, y: e.y + 4 }));
  spread(labels, area.top + 6, area.bottom - 2, 14);
  for (const l of labels) {
    const group = make("g", {}, make("text", { class: l.level ? "halo" : "label halo", x: area.right + 8, y: l.y }, l.text));
    if (l.sampler) paint(group, l.sampler);
    svg.append(group);
  }
}
function drawChart(kind) {
  const chart = charts[kind], m = metric(), width = Math.max(chart.box.clientWidth, 240), narrow = width < 430, height = narrow ? 330 : 420;
  const list = visible().filter(c => Number.isFinite(found(c, m.name).value));
  chart.of = cost[kind];
  chart.box.querySelectorAll("svg, .tip, .note").forEach(node => node.remove());
  chart.points = [];
  chart.at = -1;
  if (!list.length) {
    chart.box.append(make("p", { class: "note" }, "Nothing to show: choose a sampler."));
    return;
  }
  const area = { left: 54, right: width - (narrow ? 92 : 116), top: 26, bottom: height - 44 };
  const lines = levels(m), values = list.map(c => found(c, m.name).value);
  const x = scaleOf(list.map(chart.of), area.left + 8, area.right - 8), y = scaleOf(values.concat(lines.map(l => l.y).filter(v => v > 0 || Math.min(...values) <= 0)), area.bottom, area.top);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "application",
    "aria-roledescription": "chart", "aria-label": m.name + " against " + chart.title + ", " + list.length + " cells; arrow keys move between them" });
  drawAxes(svg, x, y, area, chart, m, narrow);
  const ends = [];
  for (const l of lines) {
    const at = y.at(l.y);
    if (!(at >= area.top && at <= area.bottom)) continue;
    svg.append(make("line", { class: "level", x1: area.left, x2: area.right, y1: at, y2: at }));
    ends.push({ y: at, text: l.text, level: true });
  }
  drawFront(svg, chart, x, y);
  const all = [...groups(list)].sort((a, b) => colourOf(b[1][0].sampler) < 0 ? 1 : colourOf(a[1][0].sampler) < 0 ? -1 : 0);
  const labelled = new Map();
  for (const [name, cells] of all) {
    const end = drawSeries(svg, name, cells, chart, x, y, area, chart.points), who = cells[0].sampler;
    const text = who.length > (narrow ? 12 : 15) ? who.slice(0, narrow ? 11 : 14) + "…" : who;
    if (colourOf(who) >= 0 && !(labelled.has(who) && labelled.get(who).loss <= loss(end.c, m))) labelled.set(who, { y: end.y, text, sampler: who, loss: loss(end.c, m) });
  }
  drawLabels(svg, ends.concat([...labelled.values()]), area);
  chart.points.sort((a, b) => a.x - b.x || a.y - b.y);
  chart.svg = svg;
  listen(chart, svg, width);
  chart.box.append(svg);
}

// ---- values of a point ------------------------------------------------------------------------------------------------
function facts(c) {
  const m = metric(), f = found(c, m.name), rows = [m.name + " " + short(f.value)];
  if (Number.isFinite(f.low)) rows[0] += " (" + short(f.low) + " to " + short(f.high) + ")";
  if (m.better === "lower" && m.floor > 0) rows.push(short(f.value / m.floor) + " times the floor");
  const steps = c.discretization && c.discretization[m.name];
  if (steps) rows.push("over the exact score " + short(steps.value));
  rows.push(c.steps + " steps, " + c.nfe + " evaluations, " + duration(seconds(c)) + " a sample");
  return rows;
}
function show(chart, index, width) {
  chart.at = index;
  chart.box.querySelectorAll(".tip").forEach(node => node.remove());
  chart.svg.querySelectorAll(".cursor").forEach(node => node.remove());
  chart.svg.querySelectorAll(".hot").forEach(node => node.classList.remove("hot"));
  chart.box.classList.toggle("lit", index >= 0);
  if (index < 0) return;
  const p = chart.points[index], rows = facts(p.c), tip = make("div", { class: "tip" }, make("strong", {}, nameOf(p.c)));
  rows.forEach((row, i) => tip.append(i ? make("span", {}, row) : row, make("br")));
  for (const group of chart.svg.querySelectorAll(".series")) if (group.dataset.series === p.series) group.classList.add("hot");
  chart.svg.append(make("circle", { class: "cursor", cx: p.x, cy: p.y, r: 8 }));
  chart.box.append(tip);
  const top = chart.svg.getBoundingClientRect().top - chart.box.getBoundingClientRect().top;
  tip.style.left = Math.max(0, Math.min(p.x + 14, width - tip.offsetWidth)) + "px";
  tip.style.top = (top + (p.y > tip.offsetHeight + 20 ? p.y - tip.offsetHeight - 12 : p.y + 14)) + "px";
}
function nearest(chart, event) {
  const box = chart.svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let best = -1, least = 30 * 30;
  chart.points.forEach((p, i) => { const d = (p.x - x) ** 2 + (p.y - y) ** 2; if (d < least) { least = d; best = i; } });
  return best;
}
// Left and right along the curve, up and down to the next one near.
function neighbour(chart, key) {
  const p = chart.points[chart.at], ways = { ArrowLeft: q => q.series === p.series && q.x < p.x, ArrowRight: q => q.series === p.series && q.x > p.x,
    ArrowUp: q => q.y < p.y && q.series !== p.series, ArrowDown: q => q.y > p.y && q.series !== p.series };
  let best = chart.at, least = Infinity;
  chart.points.forEach((q, i) => {
    const d = key === "ArrowLeft" || key === "ArrowRight" ? Math.abs(q.x - p.x) : Math.abs(q.y - p.y) + 3 * Math.abs(q.x - p.x);
    if (ways[key](q) && d < least) { least = d; best = i; }
  });
  return best;
}
function listen(chart, svg, width) {
  svg.addEventListener("pointermove", e => { const i = nearest(chart, e); if (i !== chart.at) show(chart, i, width); });
  svg.addEventListener("pointerdown", e => show(chart, nearest(chart, e), width));
  svg.addEventListener("pointerleave", () => show(chart, -1, width));
  svg.addEventListener("blur", () => show(chart, -1, width));
  svg.addEventListener("keydown", e => {
    if (e.key === "Escape") return show(chart, -1, width);
    if (!e.key.startsWith("Arrow") || !chart.points.length) return;
    e.preventDefault();
    show(chart, chart.at < 0 ? 0 : neighbour(chart, e.key), width);
    const c = chart.points[chart.at].c;
    $("spoken").textContent = nameOf(c) + ": " + facts(c).join(", ");
  });
}

// ---- words, pictures, tables ------------------------------------------------------------------------------------------
function drawHead() {
  const a = results.about, what = a.law || a.model || results.what;
  const parts = [a.kind === "toy" ? (a.score === "exact" ? "The exact score of a law" : "A learned score of a law") + " in " + a.dim + (a.dim === 1 ? " dimension" : " dimensions") : "A trained model"];
  if (a.process) parts.push("process " + a.process);
  parts.push(results.samples.toLocaleString("en") + " " + (a.unit || "samples") + " a cell", cells.length + " cells");
  $("title").textContent = "Samplers on " + what;
  document.title = "ebb bench: " + what;
  $("lede").textContent = parts.join(" · ");
}
function drawBudgets() {
  const m = metrics.get(results.metric);
  $("best-note").textContent = "Evaluations of the network a sample, and what came out best by " + m.name +
    ". What lies within its interval cannot be told apart from it.";
  for (const b of results.budgets) {
    const c = cells.find(x => x.key === b.key), li = make("li", {});
    const near = b.ties.map(key => cells.find(x => x.key === key)).filter(Boolean);
    const value = make("div", { class: "value" }, m.name + " " + short(b.value) + (b.over_floor ? ", " + short(b.over_floor) + " × floor" : ""));
    const range = Number.isFinite(b.low) ? "90%: " + short(b.low) + " to " + short(b.high) : "";
    const reference = b.over_reference ? short(b.over_reference) + " × the reference" : "";
    const count = make("div", { class: "nfe" }, String(b.nfe), make("small", {}, "evaluations"));
    const steps = c.steps + (c.steps === 1 ? " step" : " steps") + (c.nfe !== b.nfe ? ", " + c.nfe + " evaluations" : "");
    li.append(count, make("div", { class: "who" }, c.sampler), make("div", { class: "quiet" }, "over " + c.grid + (c.guidance ? ", guidance " + short(c.guidance) : "") + ", " + steps), value);
    for (const text of [[range, reference].filter(Boolean).join("; "), near.length ? "Not told apart: " + near.slice(0, 3).map(x => nameOf(x) + " (" + x.nfe + ")").join("; ") +
      (near.length > 3 ? " and " + (near.length - 3) + " more" : "") : ""])
      if (text) li.append(make("div", { class: "quiet" }, text));
    $("budgets").append(li);
  }
}
function drawPictures() {
  const m = metric(), front = frontOf(visible(), cost.nfe, m), reference = cells.find(c => c.role === "reference");
  const list = front.concat(reference ? [reference] : []).filter(c => results.pictures && results.pictures[c.key]);
  $("pictures").replaceChildren(...list.map(c => make("figure", {}, make("img", { src: results.pictures[c.key], alt: "Samples of " + nameOf(c) + " at " + c.nfe + " evaluations", loading: "lazy" }),
    make("figcaption", {}, make("strong", {}, c.nfe + " evaluations"), " " + nameOf(c) + (c.role === "reference" ? ", the reference" : "") + ": " + m.name + " " + short(found(c, m.name).value)))));
  $("pictures-section").hidden = !list.length;
}
const columns = () => {
  const m = metric(), list = [
    { name: "sampler", words: true, of: c => c.sampler }, { name: "grid", words: true, of: c => c.grid },
    { name: "steps", of: c => c.steps }, { name: "evaluations", of: c => c.nfe }, { name: m.name, of: c => found(c, m.name).value },
    { name: "90% interval", quiet: true, of: c => found(c, m.name).low, text: c => Number.isFinite(found(c, m.name).low) ? short(found(c, m.name).low) + " – " + short(found(c, m.name).high) : "–" }];
  if (guided) list.splice(2, 0, { name: "guidance", of: c => c.guidance });
  if (m.better === "lower" && m.floor > 0) list.push({ name: "× floor", of: c => found(c, m.name).value / m.floor });
  if (cells.some(c => c.discretization)) list.push({ name: "over the exact score", of: c => ((c.discretization || {})[m.name] || {}).value });
  list.push({ name: "a second", of: c => c.per_second });
  return list;
};
function sorted(list, column) {
  if (!column) return list;
  const value = c => { const v = column.of(c); return typeof v === "string" || Number.isFinite(v) ? v : Infinity; };
  return [...list].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (view.descending ? -1 : 1));
}
function drawTable() {
  const list = columns(), front = new Set(frontOf(visible(), cost.nfe, metric()).map(c => c.key));
  const rows = sorted(visible().concat(cells.filter(c => c.role !== "cell")), list.find(c => c.name === view.sort));
  const head = make("tr", {}, ...list.map(column => {
    const button = make("button", { type: "button" }, column.name);
    const th = make("th", { scope: "col", class: column.words ? "words" : "", "aria-sort": view.sort === column.name ? (view.descending ? "descending" : "ascending") : "none" }, button);
    button.addEventListener("click", () => { view.descending = view.sort === column.name && !view.descending; view.sort = column.name; drawTable();
      $("cells").querySelectorAll("th button")[list.indexOf(column)].focus(); });
    return th;
  }));
  const body = rows.map(c => make("tr", { class: front.has(c.key) ? "front" : "" }, ...list.map(column => {
    const value = column.of(c), text = column.text ? column.text(c) : typeof value === "string" ? value + (column.name === "sampler" && c.role !== "cell" ? " (" + c.role + ")" : "") : short(value);
    return make("td", { class: (column.words ? "words " : "") + (column.quiet ? "quiet" : "") }, text);
  })));
  $("cells").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}
function drawRefused() {
  const refused = results.cells.filter(c => c.refused);
  $("refused-section").hidden = !refused.length;
  $("refused-summary").textContent = refused.length + (refused.length === 1 ? " cell" : " cells") + " could not be run";
  $("refused").replaceChildren(...refused.map(c => make("li", {}, nameOf(c) + ": " + c.refused)));
}
function drawAgainst() {
  const a = results.against;
  if (!a) return;
  $("against-section").hidden = false;
  $("against-note").textContent = "Held against " + a.reference + ": " + a.better + " better, " + a.worse + " worse, " + a.same + " the same within the intervals, " + a.new + " new, " + a.missing + " missing.";
  const changed = a.rows.filter(r => r.verdict !== "same"), head = ["", "sampler", "grid", "evaluations", "metric", "was", "is"];
  $("against").replaceChildren(make("thead", {}, make("tr", {}, ...head.map((h, i) => make("th", { scope: "col", class: i < 3 || i === 4 ? "words" : "" }, h)))),
    make("tbody", {}, ...changed.map(r => make("tr", {}, make("td", { class: "words " + r.verdict }, r.verdict), make("td", { class: "words" }, r.sampler), make("td", { class: "words" }, r.grid || ""),
      make("td", {}, String(r.nfe)), make("td", { class: "words" }, r.metric), make("td", {}, short(r.was)), make("td", {}, short(r.is))))));
}
function drawFacts() {
  const m = results.machine || {}, rows = [["ebb", results.ebb], ["seed", results.seed], ["resamples of intervals", results.resamples],
    ["threads", m.threads + " on " + m.cores + " cores"], ["kernels", m.kernels], ["back end", m.backend + (m.onednn ? ", oneDNN" : "")]];
  for (const [key, value] of Object.entries(results.about))
    if (typeof value !== "object" && !["kind", "unit"].includes(key)) rows.push([key, value]);
  const judge = results.about.quality;
  if (judge) rows.push(["judged by", JSON.stringify(judge)]);
  $("command").textContent = results.command || "";
  $("command").parentNode.hidden = !results.command;
  for (const [name, value] of rows) if (value !== undefined && value !== null) $("facts").append(make("dt", {}, name), make("dd", {}, String(value)));
}

// ---- controls ---------------------------------------------------------------------------------------------------------
function makeControls() {
  for (const m of results.metrics) $("metric").append(make("option", { value: m.name }, m.name));
  $("metric").value = view.metric;
  $("metric").addEventListener("change", () => { view.metric = $("metric").value; draw(); });
  for (const name of samplers) {
    const box = make("input", { type: "checkbox", value: name }), swatch = make("svg", { width: 14, height: 14, "aria-hidden": "true" });
    const group = make("g", { class: "series" });
    paint(group, name);
    group.append(mark(shapeOf(name), 7, 7, 4.4));
    swatch.append(group);
    box.checked = true;
    box.addEventListener("change", () => { if (box.checked) view.on.add(name); else view.on.delete(name); draw(); });
    $("chips").append(make("label", { class: "chip" }, box, swatch, name));
  }
  const choose = names => { view.on = new Set(names); document.querySelectorAll("#chips input").forEach(box => { box.checked = view.on.has(box.value); }); draw(); };
  $("all").addEventListener("click", () => choose(samplers));
  $("none").addEventListener("click", () => choose([]));
  $("front-only").addEventListener("click", () => choose(new Set(frontOf(cells.filter(c => c.role === "cell"), cost.nfe, metric()).map(c => c.sampler))));
}
function draw() {
  $("metric-help").textContent = metric().help || "";
  Object.keys(charts).forEach(drawChart);
  drawPictures();
  drawTable();
}

drawHead();
drawBudgets();
makeControls();
drawRefused();
drawAgainst();
drawFacts();
draw();
let width = document.documentElement.clientWidth;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  Object.keys(charts).forEach(drawChart);
});
})();
