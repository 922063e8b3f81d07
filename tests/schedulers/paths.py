"""Paths of samplers as diffusers' schedulers walk them, in double precision: python3 paths.py > paths.json

Every scheduler here is written from the published method, in the terms of its own class: betas in float32, timesteps, and steps
that go from one timestep to the next. The network is F(x, t) = 0.3 x + 0.2 sin(t/100 + i) for number i, which sees x of variance 1;
noise k of a walk is cos(1 + 3k + i). So a test can hold ebb, which reaches the same paths by grids and samplers, against them.
"""
import json
import math
import sys

import numpy as np

N = 3
START = [0.7, -1.2, 0.3]


def network(x, t):
    return 0.3 * x + 0.2 * np.sin(t / 100 + np.arange(N))


class Noise:
    def __init__(self):
        self.k = 0

    def __call__(self):
        self.k += 1
        return np.cos(1 + 3 * (self.k - 1) + np.arange(N))


def alpha_bars(c):
    T, start, end = c["num_train_timesteps"], np.float32(c["beta_start"]), np.float32(c["beta_end"])
    kind = c.get("beta_schedule", "linear")

    def line(a, b):
        a, b = np.float32(a), np.float32(b)
        step = np.float32((b - a) / np.float32(T - 1))
        return np.array([a + step * np.float32(i) if i < T // 2 else b - step * np.float32(T - 1 - i) for i in range(T)], np.float32)

    if kind == "linear":
        beta = line(start, end)
    elif kind == "scaled_linear":
        root = line(c["beta_start"] ** 0.5, c["beta_end"] ** 0.5)
        beta = (root.astype(float) ** 2).astype(np.float32)
    elif kind == "squaredcos_cap_v2":
        f = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        beta = np.array([min(1 - f((i + 1) / T) / f(i / T), 0.999) for i in range(T)], np.float32)
    elif kind == "sigmoid":
        beta = (1 / (1 + np.exp(-line(-6, 6).astype(float))) * (c["beta_end"] - c["beta_start"]) + c["beta_start"]).astype(np.float32)
    one = np.float32(1) - beta
    return np.cumprod(one.astype(float)).astype(np.float32).astype(float)


def spaced(c, n):
    """Timesteps of DDPM, DDIM, PNDM."""
    T, kind, offset = c["num_train_timesteps"], c["timestep_spacing"], c.get("steps_offset", 0)
    if kind == "leading":
        return [i * (T // n) + offset for i in range(n)][::-1]
    if kind == "trailing":
        return [int(np.round(T - i * T / n)) - 1 for i in range(n)]
    return [int(t) for t in np.round(np.linspace(0, T - 1, n))[::-1]]


def predicted(c, x, t, a):
    """x0 and noise of the network's output at alpha_bar a."""
    f, kind = network(x, t), c.get("prediction_type", "epsilon")
    if kind == "epsilon":
        return (x - (1 - a) ** 0.5 * f) / a ** 0.5, f
    if kind == "sample":
        return f, (x - a ** 0.5 * f) / (1 - a) ** 0.5
    return a ** 0.5 * x - (1 - a) ** 0.5 * f, a ** 0.5 * f + (1 - a) ** 0.5 * x


def clipped(c, x0):
    return np.clip(x0, -c["clip_sample_range"], c["clip_sample_range"]) if c["clip_sample"] else x0


def ddpm(c, n, x):
    a, ts, noise = alpha_bars(c), spaced(c, n), Noise()
    for i, t in enumerate(ts):
        before = a[ts[i + 1]] if i + 1 < n else 1.0
        beta = 1 - a[t] / before
        x0, _ = predicted(c, x, t, a[t])
        x = before ** 0.5 * beta / (1 - a[t]) * clipped(c, x0) + (a[t] / before) ** 0.5 * (1 - before) / (1 - a[t]) * x
        variance = beta if c["variance_type"] == "fixed_large" else (1 - before) / (1 - a[t]) * beta
        if t > 0 and variance > 0:
            x = x + variance ** 0.5 * noise()
        yield x


def ddim(c, n, x):
    a, T = alpha_bars(c), c["num_train_timesteps"]
    last = 1.0 if c["set_alpha_to_one"] else a[0]
    for t in spaced(c, n):
        to = t - T // n
        before = a[to] if to >= 0 else last
        x0, eps = predicted(c, x, t, a[t])
        x = before ** 0.5 * clipped(c, x0) + (1 - before) ** 0.5 * eps
        yield x


def pndm(c, n, x):
    a, T = alpha_bars(c), c["num_train_timesteps"]
    last, r = (1.0 if c["set_alpha_to_one"] else a[0]), T // n
    at = lambda t: a[t] if t >= 0 else last

    def phi(x, e, t, s):                        # eq. 9 of the paper
        down = at(t) * (1 - at(s)) ** 0.5 + (at(t) * (1 - at(t)) * at(s)) ** 0.5
        return (at(s) / at(t)) ** 0.5 * x - (at(s) - at(t)) * e / down

    ts, kept = spaced(c, n), []
    for i, t in enumerate(ts):
        s = t - r
        e = network(x, t)
        kept = [e] + kept[:3]
        if c["skip_prk_steps"] and i == 0:
            e2 = network(phi(x, e, t, s), s)
            x = phi(x, (e + e2) / 2, t, s)
        elif c["skip_prk_steps"] and len(kept) < 4:
            w = [[3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12]][len(kept) - 2]
            x = phi(x, sum(u * k for u, k in zip(w, kept)), t, s)
        elif not c["skip_prk_steps"] and i < 3:
            h = r // 2
            e2 = network(phi(x, e, t, t - h), s + h)
            e3 = network(phi(x, e2, t, s + h), s + h)
            e4 = network(phi(x, e3, t, s), s)
            x = phi(x, e / 6 + e2 / 3 + e3 / 3 + e4 / 6, t, s)
        else:
            x = phi(x, (55 * kept[0] - 59 * kept[1] + 37 * kept[2] - 9 * kept[3]) / 24, t, s)
        yield x


def sigmas_of(c):
    a = alpha_bars(c)
    return ((1 - a) / a) ** 0.5


def time_of_sigma(sigma, sigmas):
    logs = np.log(sigmas)
    return float(np.interp(np.log(sigma), logs, np.arange(len(sigmas))))


def spread(c, n, most, least):
    u = np.linspace(0, 1, n)
    if c.get("use_karras_sigmas"):
        return (most ** (1 / 7) + u * (least ** (1 / 7) - most ** (1 / 7))) ** 7
    return np.exp(np.linspace(np.log(most), np.log(least), n))


def solver_levels(c, n):
    """Timesteps and sigmas of DPM-Solver and UniPC."""
    T, kind, all_sigmas = c["num_train_timesteps"], c["timestep_spacing"], sigmas_of(c)
    if kind == "leading":
        ts = [i * (T // (n + 1)) + c.get("steps_offset", 0) for i in range(n + 1)][::-1][:-1]
    elif kind == "trailing":
        ts = [int(np.round(T - i * T / n)) - 1 for i in range(n)]
    else:
        ts = list(np.round(np.linspace(0, T - 1, n + 1))[::-1][:-1].astype(int))
    s = np.array([all_sigmas[t] for t in ts])
    if c.get("use_karras_sigmas") or c.get("use_exponential_sigmas"):
        s = spread(c, n, all_sigmas[-1], all_sigmas[0])
        rounded = c.get("use_karras_sigmas") and c.get("beta_schedule") != "squaredcos_cap_v2"
        ts = [time_of_sigma(v, all_sigmas) for v in s]
        ts = [round(t) if rounded else int(t) for t in ts]
    last = all_sigmas[0] if c["final_sigmas_type"] == "sigma_min" else 0.0
    return ts, np.append(s, last)


def vp(sigma):
    return 1 / (1 + sigma ** 2) ** 0.5, sigma / (1 + sigma ** 2) ** 0.5


def dpm(c, n, x):
    ts, s = solver_levels(c, n)
    data, noise, kept = "++" in c["algorithm_type"], Noise(), []
    sde = c["algorithm_type"].startswith("sde")
    lam = lambda i: -math.log(s[i]) if s[i] > 0 else math.inf
    for i, t in enumerate(ts):
        al, si = vp(s[i])
        al2, si2 = vp(s[i + 1])
        x0, eps = predicted(c, x, t, al ** 2)
        kept = [x0 if data else eps] + kept[:2]
        order = min(len(kept), c["solver_order"])
        short = n < 15 and c["lower_order_final"]
        if i == n - 1 and (c["euler_at_final"] or short or c["final_sigmas_type"] == "zero"):
            order = 1
        elif i == n - 2 and short:
            order = min(order, 2)
        h = lam(i + 1) - lam(i)
        m = kept
        e = math.exp(-h) if data else math.exp(h)
        if order > 1:
            r0 = (lam(i) - lam(i - 1)) / h
            d1 = (m[0] - m[1]) / r0
        if order > 2:
            r1 = (lam(i - 1) - lam(i - 2)) / h
            d1b = (m[1] - m[2]) / r1
            d2 = (d1 - d1b) / (r0 + r1)
            d1 = d1 + r0 / (r0 + r1) * (d1 - d1b)
        if sde:
            e2 = math.exp(-2 * h)
            x = si2 / si * e * x + al2 * (1 - e2) * m[0] if si2 > 0 else al2 * m[0]
            if order == 2:
                x = x + (0.5 * al2 * (1 - e2) if c["solver_type"] == "midpoint" else al2 * ((1 - e2) / (-2 * h) + 1)) * d1
            if si2 > 0:
                x = x + si2 * (1 - e2) ** 0.5 * noise()
        elif data:
            x = si2 / si * x - al2 * (e - 1) * m[0]
            if order == 2:
                x = x - (0.5 * al2 * (e - 1) if c["solver_type"] == "midpoint" else -al2 * ((e - 1) / h + 1)) * d1
            elif order == 3:
                x = x + al2 * ((e - 1) / h + 1) * d1 - al2 * ((e - 1 + h) / h ** 2 - 0.5) * d2
        else:
            x = al2 / al * x - si2 * (e - 1) * m[0]
            if order == 2:
                x = x - (0.5 * si2 * (e - 1) if c["solver_type"] == "midpoint" else si2 * ((e - 1) / h - 1)) * d1
            elif order == 3:
                x = x - si2 * ((e - 1) / h - 1) * d1 - si2 * ((e - 1 - h) / h ** 2 - 0.5) * d2
        yield x


def unipc(c, n, x):
    ts, s = solver_levels(c, n)
    data, kept, last, order_before = c["predict_x0"], [], None, 0
    lam = lambda i: -math.log(s[i]) if s[i] > 0 else math.inf

    def weights(rs, hh, terms):
        if terms == 1:
            return [0.5]
        bh = hh if c["solver_type"] == "bh1" else math.expm1(hh)
        phi, factorial, b = math.expm1(hh) / hh - 1, 1, []
        for k in range(1, terms + 1):
            b.append(phi * factorial / bh)
            factorial *= k + 1
            phi = phi / hh - 1 / factorial
        return np.linalg.solve(np.array([[r ** k for r in rs[:terms]] for k in range(terms)]), b)

    def move(x, i, order, m, new):
        """From level i to i + 1 with the outputs m at i, i-1, ...; new: the output at i + 1."""
        al, si = vp(s[i])
        al2, si2 = vp(s[i + 1])
        if si2 == 0:
            return al2 * m[0]
        h = lam(i + 1) - lam(i)
        hh = -h if data else h
        bh = hh if c["solver_type"] == "bh1" else math.expm1(hh)
        rs = [(lam(i - k) - lam(i)) / h for k in range(1, order)]
        d = [(m[k] - m[0]) / rs[k - 1] for k in range(1, order)]
        if new is not None:
            rs, d = rs + [1.0], d + [new - m[0]]
        res = sum(w * v for w, v in zip(weights(rs, hh, len(d)), d)) if d else 0
        if data:
            return si2 / si * x - al2 * math.expm1(hh) * m[0] - al2 * bh * res
        return al2 / al * x - si2 * math.expm1(hh) * m[0] - si2 * bh * res

    for i, t in enumerate(ts):
        x0, eps = predicted(c, x, t, vp(s[i])[0] ** 2)
        m = x0 if data else eps
        if i > 0:
            x = move(last, i - 1, order_before, kept, m)
        kept = [m] + kept[:3]
        order = min(c["solver_order"], n - i) if c["lower_order_final"] else c["solver_order"]
        order_before = order = min(order, i + 1)
        last = x
        x = move(x, i, order, kept, None)
    yield x                                      # between, ebb has corrected already


def sigma_levels(c, n):
    """Timesteps and sigmas of Euler and Heun."""
    all_sigmas, T = sigmas_of(c), c["num_train_timesteps"]
    if c["timestep_spacing"] == "linspace":
        ts = np.linspace(0, T - 1, n, dtype=np.float32)[::-1].astype(float)
    else:
        ts = np.array(spaced(c, n), float)
    s = np.interp(ts, np.arange(T), all_sigmas)
    if c.get("use_karras_sigmas") or c.get("use_exponential_sigmas"):
        s = spread(c, n, s[0], s[-1])
        ts = np.array([time_of_sigma(v, all_sigmas) for v in s])
    return ts, np.append(s, all_sigmas[0] if c.get("final_sigmas_type") == "sigma_min" else 0.0)


def euler(c, n, z, heun=False):
    ts, s = sigma_levels(c, n)
    y = z * (s[0] if c["timestep_spacing"] != "leading" else (s[0] ** 2 + 1) ** 0.5)

    def slope(y, i):
        f, k = network(y / (s[i] ** 2 + 1) ** 0.5, ts[i]), c.get("prediction_type", "epsilon")
        x0 = f if k == "sample" else y - s[i] * f if k == "epsilon" else y / (s[i] ** 2 + 1) - f * s[i] / (s[i] ** 2 + 1) ** 0.5
        if heun and c["clip_sample"]:
            x0 = np.clip(x0, -c["clip_sample_range"], c["clip_sample_range"])
        return (y - x0) / s[i]

    for i in range(n):
        d = slope(y, i)
        to = y + (s[i + 1] - s[i]) * d
        if heun and s[i + 1] > 0:
            to = y + (s[i + 1] - s[i]) * (d + slope(to, i + 1)) / 2
        y = to
        yield y / (s[i + 1] ** 2 + 1) ** 0.5


BASE = dict(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", steps_offset=0, prediction_type="epsilon")
DDPM = dict(BASE, _class_name="DDPMScheduler", variance_type="fixed_small", clip_sample=True, clip_sample_range=1.0, timestep_spacing="leading")
DDIM = dict(BASE, _class_name="DDIMScheduler", clip_sample=True, clip_sample_range=1.0, set_alpha_to_one=True, timestep_spacing="leading")
PNDM = dict(BASE, _class_name="PNDMScheduler", skip_prk_steps=False, set_alpha_to_one=False, timestep_spacing="leading")
DPM = dict(BASE, _class_name="DPMSolverMultistepScheduler", solver_order=2, algorithm_type="dpmsolver++", solver_type="midpoint",
           lower_order_final=True, euler_at_final=False, final_sigmas_type="zero", timestep_spacing="linspace")
UNIPC = dict(BASE, _class_name="UniPCMultistepScheduler", solver_order=2, predict_x0=True, solver_type="bh2", lower_order_final=True,
             final_sigmas_type="zero", timestep_spacing="linspace")
EULER = dict(BASE, _class_name="EulerDiscreteScheduler", timestep_spacing="linspace", final_sigmas_type="zero")
HEUN = dict(BASE, _class_name="HeunDiscreteScheduler", beta_start=0.00085, beta_end=0.012, clip_sample=False, clip_sample_range=1.0,
            timestep_spacing="linspace")

CASES = [
    ("ddpm", ddpm, DDPM, 10, {}),
    ("ddpm large", ddpm, DDPM, 10, dict(variance_type="fixed_large")),
    ("ddpm large, noise at the end", ddpm, DDPM, 7, dict(variance_type="fixed_large", timestep_spacing="trailing")),
    ("ddpm offset", ddpm, DDPM, 6, dict(variance_type="fixed_large", steps_offset=1, beta_schedule="squaredcos_cap_v2")),
    ("ddpm linspace, no clip, v", ddpm, DDPM, 9, dict(clip_sample=False, timestep_spacing="linspace", prediction_type="v_prediction")),
    ("ddpm sigmoid, range", ddpm, DDPM, 5, dict(beta_schedule="sigmoid", clip_sample_range=0.5, prediction_type="sample")),
    ("ddim", ddim, DDIM, 10, {}),
    ("ddim to alpha 0, offset", ddim, DDIM, 7, dict(set_alpha_to_one=False, steps_offset=1, beta_schedule="scaled_linear")),
    ("ddim trailing", ddim, DDIM, 7, dict(timestep_spacing="trailing")),
    ("ddim linspace", ddim, DDIM, 9, dict(timestep_spacing="linspace", clip_sample=False)),
    ("ddim v, short chain", ddim, DDIM, 6, dict(prediction_type="v_prediction", num_train_timesteps=200)),
    ("pndm", pndm, PNDM, 10, {}),
    ("pndm odd steps", pndm, PNDM, 8, dict(num_train_timesteps=1000, set_alpha_to_one=True)),
    ("pndm without runge-kutta", pndm, PNDM, 9, dict(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear")),
    ("dpm++ 2", dpm, DPM, 10, {}),
    ("dpm++ 2, many steps", dpm, DPM, 20, {}),
    ("dpm++ 3", dpm, DPM, 10, dict(solver_order=3)),
    ("dpm++ 3, many steps, heun", dpm, DPM, 17, dict(solver_order=3, solver_type="heun")),
    ("dpm++ 2 heun, leading", dpm, DPM, 9, dict(solver_type="heun", timestep_spacing="leading", steps_offset=1)),
    ("dpm++ 2 trailing, karras", dpm, DPM, 9, dict(timestep_spacing="trailing", use_karras_sigmas=True)),
    ("dpm++ 2 exponential", dpm, DPM, 9, dict(use_exponential_sigmas=True, prediction_type="v_prediction")),
    ("dpm++ 2 cosine, karras", dpm, DPM, 8, dict(use_karras_sigmas=True, beta_schedule="squaredcos_cap_v2")),
    ("dpm 2", dpm, DPM, 10, dict(algorithm_type="dpmsolver", final_sigmas_type="sigma_min")),
    ("dpm 3, many steps", dpm, DPM, 16, dict(algorithm_type="dpmsolver", solver_order=3, final_sigmas_type="sigma_min")),
    ("dpm 2 euler at the end", dpm, DPM, 16, dict(algorithm_type="dpmsolver", euler_at_final=True, final_sigmas_type="sigma_min")),
    ("dpm++ 1", dpm, DPM, 8, dict(solver_order=1)),
    ("dpm++ sde", dpm, DPM, 9, dict(algorithm_type="sde-dpmsolver++")),
    ("dpm++ sde heun", dpm, DPM, 9, dict(algorithm_type="sde-dpmsolver++", solver_type="heun")),
    ("unipc", unipc, UNIPC, 10, {}),
    ("unipc 3, bh1", unipc, UNIPC, 9, dict(solver_order=3, solver_type="bh1")),
    ("unipc noise form", unipc, UNIPC, 9, dict(predict_x0=False, solver_order=3, final_sigmas_type="sigma_min")),
    ("unipc karras", unipc, UNIPC, 9, dict(use_karras_sigmas=True, timestep_spacing="leading")),
    ("unipc to sigma min", unipc, UNIPC, 8, dict(final_sigmas_type="sigma_min", timestep_spacing="trailing")),
    ("euler", euler, EULER, 10, {}),
    ("euler leading", euler, EULER, 9, dict(timestep_spacing="leading", steps_offset=1)),
    ("euler trailing, v", euler, EULER, 9, dict(timestep_spacing="trailing", prediction_type="v_prediction")),
    ("euler karras", euler, EULER, 9, dict(use_karras_sigmas=True)),
    ("euler exponential, leading", euler, EULER, 9, dict(use_exponential_sigmas=True, timestep_spacing="leading", steps_offset=1)),
    ("euler to sigma min", euler, EULER, 8, dict(final_sigmas_type="sigma_min", timestep_spacing="trailing")),
    ("heun", lambda c, n, x: euler(c, n, x, True), HEUN, 9, {}),
    ("heun karras, clip", lambda c, n, x: euler(c, n, x, True), HEUN, 8, dict(use_karras_sigmas=True, clip_sample=True)),
]

rows = []
for name, walk, base, n, more in CASES:
    config = dict(base, **more)
    path = [list(map(float, x)) for x in walk(config, n, np.array(START))]
    rows.append(dict(name=name, steps=n, config=config, path=path))
json.dump(dict(start=START, rows=rows), sys.stdout, indent=0)
