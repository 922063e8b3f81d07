// Checks of the report in two frames, as wide as a desk and as a phone. Prints FAIL lines and, at the end, DONE and how many checks.
"use strict";
const out = document.getElementById("out");
let checks = 0;
function check(holds, what) {
  checks++;
  if (!holds) out.append("FAIL " + what + "\n");
}

// ---- colours ----------------------------------------------------------------------------------------------------------
function rgba(text) {
  const n = text.match(/[\d.]+/g).map(Number);
  return { r: n[0], g: n[1], b: n[2], a: n.length > 3 ? n[3] : 1 };
}
function luminance(c) {
  const f = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b);
}
function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}
function ground(view, node) {
  for (; node; node = node.parentElement) {
    const c = rgba(view.getComputedStyle(node).backgroundColor);
    if (c.a > 0) return c;
  }
  return { r: 255, g: 255, b: 255 };
}

function checkText(name, view) {
  const seen = new Set();
  for (const node of view.document.querySelectorAll("main *")) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    const style = view.getComputedStyle(node), box = node.getBoundingClientRect();
    if (!own || style.visibility === "hidden" || box.width < 2 || !node.checkVisibility()) continue;
    const colour = rgba(node instanceof view.SVGElement ? style.fill : style.color), size = parseFloat(style.fontSize);
    const need = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 600) ? 3 : 4.5, is = contrast(colour, ground(view, node));
    const what = `${name}: text "${node.textContent.trim().slice(0, 20)}" (${node.tagName} ${node.className.baseVal ?? node.className})`;
    if (is < need && !seen.has(what)) check(false, `${what}: contrast ${is.toFixed(2)}`);
    seen.add(what);
    checks++;
  }
  check(seen.size > 20, name + ": too few texts were looked at");
  for (const dot of view.document.querySelectorAll(".chart .dot"))
    check(contrast(rgba(view.getComputedStyle(dot).fill), ground(view, dot)) >= 3, name + ": a dot that is hard to see");
}

// ---- widths -----------------------------------------------------------------------------------------------------------
function checkWidth(name, view) {
  const root = view.document.documentElement;
  check(root.scrollWidth <= root.clientWidth, `${name}: ${root.scrollWidth} pixels wide, and there are ${root.clientWidth}`);
  for (const node of view.document.querySelectorAll("main *")) {
    const box = node.getBoundingClientRect();
    if (box.width > 0 && !node.closest(".scroll, .spoken") && box.right > root.clientWidth + 1)
      check(false, `${name}: ${node.tagName} ${node.className.baseVal ?? node.className} "${node.textContent.slice(0, 20)}" ends at ${box.right}`);
  }
}

// ---- what it does -----------------------------------------------------------------------------------------------------
const dots = view => view.document.querySelectorAll("#by-nfe .dot").length;
function checkFilter(name, view) {
  const data = JSON.parse(view.document.getElementById("data").textContent), metric = data.metric;
  const cells = data.cells.filter(c => c.role === "cell" && !c.refused && c.metrics[metric]);
  const boxes = [...view.document.querySelectorAll("#chips input")], all = dots(view);
  check(all === cells.length && all > 5, `${name}: ${all} dots of ${cells.length} cells`);
  check(view.document.querySelectorAll("#by-seconds .dot").length === all, name + ": the other chart has other dots");
  for (const box of boxes.slice(0, 3)) {
    const of = cells.filter(c => c.sampler === box.value), rows = view.document.querySelectorAll("#cells tbody tr").length;
    box.click();
    check(dots(view) === all - of.length, `${name}: without ${box.value} there are ${dots(view)} dots`);
    check(!of.some(c => view.document.querySelector(`.chart [data-key="${c.key}"]`)), `${name}: a dot of ${box.value} is still there`);
    check(view.document.querySelectorAll("#cells tbody tr").length === rows - of.length, name + ": the table is not filtered");
    box.click();
    check(dots(view) === all, `${name}: with ${box.value} again there are ${dots(view)} dots`);
  }
  view.document.getElementById("none").click();
  check(dots(view) === 0, name + ": dots of nothing");
  view.document.getElementById("front-only").click();
  check(dots(view) > 0 && dots(view) < all, name + ": those on the front are not a part");
  view.document.getElementById("all").click();
  check(dots(view) === all, name + ": all are not back");
}
function checkMetric(name, view) {
  const pick = view.document.getElementById("metric"), was = pick.value;
  for (const option of pick.options) {
    pick.value = option.value;
    pick.dispatchEvent(new view.Event("change"));
    check(view.document.querySelector("#by-nfe svg").textContent.includes(option.value), `${name}: no chart of ${option.value}`);
    check([...view.document.querySelectorAll(".chart path")].every(p => !/NaN|Infinity/.test(p.getAttribute("d"))), `${name}: ${option.value} has points nowhere`);
  }
  pick.value = was;
  pick.dispatchEvent(new view.Event("change"));
}
function checkKeys(name, view) {
  const chart = view.document.querySelector("#by-nfe svg"), key = k => chart.dispatchEvent(new view.KeyboardEvent("keydown", { key: k, bubbles: true }));
  chart.focus();
  check(view.document.activeElement === chart, name + ": a chart takes no focus");
  key("ArrowRight");
  const first = view.document.getElementById("spoken").textContent;
  check(view.document.querySelectorAll("#by-nfe .tip").length === 1 && first.includes(" over "), name + ": no value is shown or said");
  key("ArrowRight");
  key("ArrowDown");
  check(view.document.getElementById("spoken").textContent !== first, name + ": arrow keys do not move");
  key("Escape");
  check(!view.document.querySelector(".tip"), name + ": Escape leaves the value there");
}
function checkPointer(name, view) {
  const svg = view.document.querySelector("#by-nfe svg"), dot = svg.querySelector(".dot").getBoundingClientRect();
  svg.dispatchEvent(new view.PointerEvent("pointermove", { clientX: dot.left + dot.width / 2, clientY: dot.top + dot.height / 2 }));
  const tip = view.document.querySelector("#by-nfe .tip");
  check(tip && tip.getBoundingClientRect().right <= view.document.documentElement.clientWidth, name + ": no value where the pointer is, or outside");
  svg.dispatchEvent(new view.PointerEvent("pointerleave", {}));
  check(!view.document.querySelector(".tip"), name + ": the value stays");
}
async function checkPictures(name, view) {
  const images = [...view.document.querySelectorAll("#pictures img")];
  images.forEach(i => { i.loading = "eager"; });
  await Promise.all(images.map(i => i.decode().catch(() => {})));
  check(images.length > 1 && images.every(i => i.naturalWidth > 0 && i.alt), name + ": pictures are missing");
  check(images.every(i => i.src.startsWith("data:image/png")), name + ": a picture from elsewhere");
}
function checkTable(name, view) {
  const heads = () => [...view.document.querySelectorAll("#cells th")], find = () => heads().find(h => h.textContent === "evaluations");
  const values = () => [...view.document.querySelectorAll("#cells tbody tr")].map(r => Number(r.children[heads().indexOf(find())].textContent.replace(/,/g, "")));
  find().querySelector("button").click();
  check(find().getAttribute("aria-sort") === "ascending" && values().every((v, i, a) => !i || a[i - 1] <= v), name + ": the table is not sorted");
}

async function run() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  for (const name of ["desk", "phone"]) {
    const view = document.getElementById(name).contentWindow, body = rgba(view.getComputedStyle(view.document.body).backgroundColor);
    check(dark ? luminance(body) < 0.05 : luminance(body) > 0.85, `${name}: the ground is not ${dark ? "dark" : "light"}`);
    checkWidth(name, view);
    checkText(name, view);
    checkFilter(name, view);
    checkMetric(name, view);
    checkKeys(name, view);
    checkPointer(name, view);
    checkTable(name, view);
    await checkPictures(name, view);
    checkWidth(name + " at the end", view);
  }
  console.error("seen from the checks");
  out.append("DONE " + checks + "\n");
}
addEventListener("load", () => run().catch(e => out.append("FAIL the checks broke off: " + e + "\n")));
