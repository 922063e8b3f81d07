#!/usr/bin/python3
"""One training step of two U-Nets, computed by PyTorch: the golden files of tests/test_golden.c.

    make_unet_s_step.py                  writes unet_s_step.safetensors and unet_tiny_step.safetensors
                                         beside this script
    make_unet_s_step.py --compare FILE   prints how far the gradients in FILE (from `test_golden --dump
                                         FILE`) are from PyTorch's: the whole tensors, not sketches
    make_unet_s_step.py --autocast       prints how far PyTorch's mixed precision is from its float64, for
                                         test_golden's bfloat16 (PyTorch 2: older ones have no such group norm)

Needs python3-torch (Debian 12: 1.13) and numpy; everything else is here. The network is written out once
more, in NCHW and in PyTorch's terms, so that it shares nothing with ours but the names of parameters.

What keeps the files small:
  * Weights are not stored but follow a rule (word, weight below), which tests/support/nets.c repeats in C. Element
    i counts in PyTorch's layout: (out, in) or (out, in, kh, kw).
  * Of each gradient of unet-s the file holds "sketch/NAME", F64: the l2 norm; SKETCH sums of its elements
    with signs from the rule; its first HEAD elements. For an error d the mean square of the SKETCH sums of
    d is |d|^2 in expectation (a random projection), so the sketch measures the relative l2 error of the
    whole tensor. The tiny net's gradients are whole: "grad/NAME", F32.
Pictures are stored as (N,H,W,C). References are computed in float64, except for the time embedding, which
is float32 as in every PyTorch implementation."""
import json, math, os, struct, sys
import numpy as np
import torch
import torch.nn.functional as F

SKETCH, HEAD = 16, 16
# Of the pictures and their noise. With 2020 the gradient of conv_out.bias, one number, is a sum of 2,048 that
# cancels to 1e-4 of the whole gradient: its relative error was 5e-5 here, 3e-5 in PyTorch's own float32.
SEED = 2021
NETS = {
    'unet_s': dict(channels=1, size=(32, 32), base=32, mult=(1, 2, 2), attention=(0, 0, 1), blocks=2, groups=32,
                   classes=0, t=(137, 861), label=None, whole=False),
    'unet_tiny': dict(channels=3, size=(10, 6), base=4, mult=(1, 2), attention=(1, 1), blocks=1, groups=2,
                      classes=3, t=(42, 700), label=(1, 3), whole=True),
}

# ---- the rule ------------------------------------------------------------------------------------
def word(name, count):
    """64-bit words 0..count-1 of a name: FNV-1a of the name, then SplitMix64 of the position."""
    h = 0xcbf29ce484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001b3) & (2**64 - 1)
    with np.errstate(over='ignore'):
        z = np.uint64(h) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        return z ^ (z >> np.uint64(31))

def weight(name, shape):
    u = (word(name, math.prod(shape)) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1   # [-1, 1)
    if name == 'class_embedding.weight': v = u
    elif len(shape) > 1: v = u * math.sqrt(3.0 / math.prod(shape[1:]))    # variance 1/fan_in
    elif name.endswith('.bias'): v = u * 0.25
    else: v = 1 + u * 0.25                                                # group norm's scale
    return torch.from_numpy(v.astype(np.float32).reshape(shape))

def sketch(name, g):
    g = g.detach().double().flatten().numpy()
    w = word(name + '/signs', g.size)
    sums = [float(np.sum(np.where((w >> np.uint64(j)) & np.uint64(1), -g, g))) for j in range(SKETCH)]
    return np.array([float(np.sqrt(np.sum(g * g)))] + sums + list(g[:HEAD]))

# ---- the network ---------------------------------------------------------------------------------
class UNet:
    """The U-Net of Ho et al. 2020 with diffusers' names; parameters appear as they are first used."""
    def __init__(s, dtype, **c): s.__dict__.update(c); s.dtype = dtype; s.p = {}
    def par(s, name, *shape):
        if name not in s.p: s.p[name] = weight(name, shape).to(s.dtype).requires_grad_()
        return s.p[name]
    def linear(s, n, x, o): return F.linear(x, s.par(n + '.weight', o, x.shape[-1]), s.par(n + '.bias', o))
    def conv(s, n, x, o, k=3, stride=1):
        return F.conv2d(x, s.par(n + '.weight', o, x.shape[1], k, k), s.par(n + '.bias', o), stride, k // 2)
    def norm(s, n, x): return F.group_norm(x, s.groups, s.par(n + '.weight', x.shape[1]), s.par(n + '.bias', x.shape[1]), 1e-6)
    def residual(s, n, x, temb, o):
        h = s.conv(n + '.conv1', F.silu(s.norm(n + '.norm1', x)), o)
        h = h + s.linear(n + '.time_emb_proj', temb, o)[:, :, None, None]
        h = s.conv(n + '.conv2', F.silu(s.norm(n + '.norm2', h)), o)
        return (s.conv(n + '.conv_shortcut', x, o, 1) if x.shape[1] != o else x) + h
    def attend(s, n, x):
        b, c, h, w = x.shape
        z = s.norm(n + '.group_norm', x).flatten(2).transpose(1, 2)
        q, k, v = (s.linear(f'{n}.to_{m}', z, c) for m in 'qkv')
        z = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(c), -1) @ v
        return x + s.linear(n + '.to_out.0', z, c).transpose(1, 2).reshape(b, c, h, w)
    def block(s, n, level, i, x, temb):
        x = s.residual(f'{n}.resnets.{i}', x, temb, s.base * s.mult[level])
        return s.attend(f'{n}.attentions.{i}', x) if s.attention[level] else x
    def __call__(s, x, t, label):
        half, td, levels = s.base // 2, 4 * s.base, len(s.mult)
        e = t.float()[:, None] * torch.exp(-math.log(10000) * torch.arange(half).float() / (half - 1))[None]
        e = torch.cat([e.sin(), e.cos()], 1).to(s.dtype)
        e = s.linear('time_embedding.linear_2', F.silu(s.linear('time_embedding.linear_1', e, td)), td)
        if s.classes: e = e + s.par('class_embedding.weight', s.classes + 1, td)[label]
        temb = F.silu(e)
        x = s.conv('conv_in', x, s.base); skips = [x]
        for l in range(levels):
            for i in range(s.blocks): x = s.block(f'down_blocks.{l}', l, i, x, temb); skips.append(x)
            if l < levels - 1: x = s.conv(f'down_blocks.{l}.downsamplers.0.conv', x, x.shape[1], 3, 2); skips.append(x)
        x = s.residual('mid_block.resnets.0', x, temb, x.shape[1])
        x = s.attend('mid_block.attentions.0', x)
        x = s.residual('mid_block.resnets.1', x, temb, x.shape[1])
        for u, l in enumerate(reversed(range(levels))):
            for i in range(s.blocks + 1): x = s.block(f'up_blocks.{u}', l, i, torch.cat([x, skips.pop()], 1), temb)
            if l: x = s.conv(f'up_blocks.{u}.upsamplers.0.conv', F.interpolate(x, scale_factor=2.0, mode='nearest'), x.shape[1])
        return s.conv('conv_out', F.silu(s.norm('conv_norm_out', x)), s.channels)

def step(name, dtype):
    """x0, noise, eps (N,C,H,W), loss, gradients by name."""
    c = NETS[name]; rng = np.random.default_rng(SEED); shape = (len(c['t']), c['channels'], *c['size'])
    x0 = torch.from_numpy(rng.uniform(-1, 1, shape).astype(np.float32)).to(dtype)
    noise = torch.from_numpy(rng.standard_normal(shape).astype(np.float32)).to(dtype)
    t = torch.tensor(c['t'])
    abar = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)[t][:, None, None, None]
    net = UNet(dtype, **{k: v for k, v in c.items() if k not in ('t', 'label', 'whole', 'size')})
    eps = net(abar.sqrt().to(dtype) * x0 + (1 - abar).sqrt().to(dtype) * noise, t, None if c['label'] is None else torch.tensor(c['label']))
    loss = F.mse_loss(eps, noise); loss.backward()
    return x0, noise, eps.detach(), loss.detach(), {k: v.grad for k, v in net.p.items()}

# ---- safetensors -----------------------------------------------------------------------------------
TYPES = {'F32': np.float32, 'F64': np.float64, 'I32': np.int32}
def save(path, tensors, metadata):
    header, blobs, offset = {'__metadata__': metadata}, [], 0
    for k, v in tensors.items():
        blob = np.ascontiguousarray(v).tobytes(); blobs.append(blob)
        kind = next(t for t, d in TYPES.items() if d == v.dtype)
        header[k] = dict(dtype=kind, shape=list(v.shape), data_offsets=[offset, offset + len(blob)]); offset += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode(); text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f: f.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))
def load(path):
    data = open(path, 'rb').read(); n = struct.unpack('<Q', data[:8])[0]; header = json.loads(data[8:8 + n]); out = {}
    for k, v in header.items():
        if k != '__metadata__':
            a, b = (8 + n + o for o in v['data_offsets']); out[k] = np.frombuffer(data[a:b], TYPES[v['dtype']]).reshape(v['shape'])
    return out

def make(name):
    c = NETS[name]; x0, noise, eps, loss, grads = step(name, torch.float64)
    nhwc = lambda v: v.permute(0, 2, 3, 1).numpy().astype(np.float32)
    out = {'x0': nhwc(x0), 'noise': nhwc(noise), 't': np.array(c['t'], np.float32), 'eps': nhwc(eps), 'loss': np.array([float(loss)])}
    if c['label']: out['label'] = np.array(c['label'], np.int32)
    for k, g in grads.items():
        if c['whole']: out['grad/' + k] = g.numpy().astype(np.float32)
        else: out['sketch/' + k] = sketch(k, g)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + '_step.safetensors')
    save(path, out, {'made_by': 'make_unet_s_step.py', 'torch': torch.__version__, 'network': json.dumps(c)})
    print(f'{path}: {sum(g.numel() for g in grads.values())} parameters in {len(grads)} tensors, '
          f'loss {float(loss):.9f}, {os.path.getsize(path)} bytes')

def compare(path):
    """Relative l2 errors; gradients that are zero in exact arithmetic count by their share of the whole."""
    ours = load(path); rel = lambda a, b: float(np.linalg.norm(a - b) / np.linalg.norm(b)); f64 = lambda v: v.detach().double().numpy()
    exact, single = (step('unet_s', d) for d in (torch.float64, torch.float32))
    assert set(ours) == set(exact[4]) | {'loss', 'eps'}, set(ours) ^ set(exact[4])
    total = math.sqrt(sum(float((g * g).sum()) for g in exact[4].values()))
    zero = {k for k, g in exact[4].items() if float(g.norm()) < 1e-12 * total}
    sets = {'ebb': {k: v.astype(np.float64) for k, v in ours.items() if k in exact[4]},
            'PyTorch in float64': {k: f64(v) for k, v in exact[4].items()},
            'PyTorch in float32': {k: f64(v) for k, v in single[4].items()}}
    for who, ref in (('PyTorch in float64', exact), ('PyTorch in float32', single)):
        print(f'ebb against {who}: loss {abs(float(ours["loss"]) / float(ref[3]) - 1):.2e}, '
              f'eps {rel(ours["eps"].transpose(0, 3, 1, 2).astype(np.float64), f64(ref[2])):.2e}')
    for a, b in (('ebb', 'PyTorch in float64'), ('ebb', 'PyTorch in float32'), ('PyTorch in float32', 'PyTorch in float64')):
        e = sorted((rel(sets[a][k], sets[b][k]), k) for k in exact[4] if k not in zero)
        print(f'{a} against {b}: {len(e)} gradients, median error {e[len(e) // 2][0]:.2e}, worst {e[-1][0]:.2e} ({e[-1][1]}), '
              f'next {e[-2][0]:.2e} ({e[-2][1]})')
    for a in ('ebb', 'PyTorch in float32'):
        print(f'{a}: {len(zero)} gradients that should be zero are at most '
              f'{max(np.linalg.norm(sets[a][k]) for k in zero) / total:.2e} of the whole gradient')

def autocast():
    exact = step('unet_s', torch.float64)
    with torch.autocast('cpu', torch.bfloat16): mixed = step('unet_s', torch.float32)
    off = {k: mixed[4][k].double() - g for k, g in exact[4].items()}; rel = lambda d, v: float(d.norm() / v.norm())
    whole = lambda grads: torch.cat([g.flatten() for g in grads.values()])
    parts = sorted(rel(off[k], g) for k, g in exact[4].items() if float(g.norm()) > 1e-12 * float(whole(exact[4]).norm()))
    print(f'PyTorch {torch.__version__}, autocast to bfloat16: eps {rel(mixed[2].double() - exact[2], exact[2]):.3e}, '
          f'loss {abs(float(mixed[3]) / float(exact[3]) - 1):.3e}, whole gradient {rel(whole(off), whole(exact[4])):.3e}, '
          f'median of its parts {parts[len(parts) // 2]:.3e}')

if __name__ == '__main__':
    torch.set_num_threads(1)
    if len(sys.argv) == 3 and sys.argv[1] == '--compare': compare(sys.argv[2])
    elif sys.argv[1:] == ['--autocast']: autocast()
    elif len(sys.argv) == 1: [make(name) for name in NETS]
    else: sys.exit(__doc__)
