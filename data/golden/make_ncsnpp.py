#!/usr/bin/python3
"""DDPM++ and NCSN++ computed by PyTorch: the golden files of tests/test_ncsnpp.c.

    make_ncsnpp.py        writes ddpmpp_tiny.safetensors, ncsnpp_tiny.safetensors, ncsnpp_skip.safetensors beside this script

Needs python3-torch (Debian 12: 1.13) and numpy. The networks of Song et al. 2021 (app. H) are written out here in NCHW with
PyTorch's operations and share nothing with ours but the names of parameters, which are diffusers' (SkipDownBlock2D and its
like). Filters follow the definition of upfirdn2d (StyleGAN2): insert zeros, pad, convolve with the flipped kernel, keep every
second number; the strided convolution of the residual pyramid reads the picture filtered with more padding, as StyleGAN2's
conv_downsample_2d. ddpmpp_tiny has classes besides, embedded as in our U-Net.

Each file holds, in float64 rounded to f32 where it says F32: x (N,H,W,C), t (N), [label], v (N,H,W,C) a direction, target
(N,H,W,C); f = net(x, t), jv = (df/dx) v (N,H,W,C); loss = mean((f - target)^2) and "grad/NAME", its gradients; implicit =
mean(f^2 + 2 v jv), implicit score matching, and "implicit/NAME", the norm and SKETCH random sums of its gradients (second
derivatives), as make_unet_s_step.py's. Weights follow that program's rule. With Fourier features t is log(sigma), and f of a
network `over_sigma` is divided by sigma."""
import importlib.util, json, math, os
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('rules', os.path.join(HERE, 'make_unet_s_step.py'))
rules = importlib.util.module_from_spec(spec); spec.loader.exec_module(rules)

SEED = 77
# Constants of a graph are f32: with these the comparison in double is not of their rounding.
TURN, HALF = float(np.float32(2 * math.pi)), float(np.float32(math.sqrt(0.5)))
NETS = {
    'ddpmpp_tiny': dict(channels=3, size=(4, 6), base=8, mult=(1, 2), attention=(0, 1), blocks=1, classes=3, fir=False, rescale=True,
                        once=True, progressive_input='none', combine='sum', output_skip=False, fourier=False, over_sigma=False,
                        t=(4.0, 27.5), label=(1, 3)),
    'ncsnpp_tiny': dict(channels=2, size=(4, 8), base=8, mult=(1, 2, 1), attention=(0, 1, 0), blocks=1, classes=0, fir=True, rescale=True,
                        once=True, progressive_input='residual', combine='sum', output_skip=False, fourier=True, over_sigma=True,
                        t=(-1.25, 1.5), label=None),
    'ncsnpp_skip': dict(channels=1, size=(8, 4), base=8, mult=(1, 2, 1), attention=(1, 1, 0), blocks=1, classes=0, fir=True, rescale=False,
                        once=False, progressive_input='input-skip', combine='cat', output_skip=True, fourier=True, over_sigma=False,
                        t=(-3.0, 2.25), label=None),
}

# ---- filters ---------------------------------------------------------------------------------------
def upfirdn2d(x, k, up=1, down=1, pad=(0, 0)):
    n, c, h, w = x.shape
    z = torch.zeros(n, c, h * up, w * up, dtype=x.dtype); z[:, :, ::up, ::up] = x
    z = F.pad(z, (pad[0], pad[1], pad[0], pad[1]))
    return F.conv2d(z, torch.flip(k, (0, 1))[None, None].repeat(c, 1, 1, 1), groups=c)[:, :, ::down, ::down]
def kernel(dtype):
    k = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=dtype); k = torch.outer(k, k)
    return k / k.sum()
def fir_down(x): return upfirdn2d(x, kernel(x.dtype), down=2, pad=(1, 1))
def fir_up(x): return upfirdn2d(x, 4 * kernel(x.dtype), up=2, pad=(2, 1))
def fir_blur(x): return upfirdn2d(x, kernel(x.dtype), pad=(2, 2))

# ---- the network -----------------------------------------------------------------------------------
class Net:
    """Parameters appear as they are first used."""
    def __init__(s, **c): s.__dict__.update(c); s.p = {}
    def par(s, name, *shape):
        if name not in s.p: s.p[name] = rules.weight(name, shape).double().requires_grad_(name != 'time_proj.weight')
        return s.p[name]
    def linear(s, n, x, o): return F.linear(x, s.par(n + '.weight', o, x.shape[-1]), s.par(n + '.bias', o))
    def conv(s, n, x, o, k=3, stride=1, pad=None):
        return F.conv2d(x, s.par(n + '.weight', o, x.shape[1], k, k), s.par(n + '.bias', o), stride, k // 2 if pad is None else pad)
    def norm(s, n, x):
        c = x.shape[1]
        return F.group_norm(x, min(c // 4, 32), s.par(n + '.weight', c), s.par(n + '.bias', c), 1e-6)
    def join(s, x, h): return (x + h) * HALF if s.rescale else x + h
    def down(s, x): return fir_down(x) if s.fir else F.avg_pool2d(x, 2)
    def up(s, x): return fir_up(x) if s.fir else F.interpolate(x, scale_factor=2.0, mode='nearest')
    def residual(s, n, x, temb, o, resize=None):
        h = F.silu(s.norm(n + '.norm1', x))
        if resize: h, x = resize(h), resize(x)
        h = s.conv(n + '.conv1', h, o) + s.linear(n + '.time_emb_proj', temb, o)[:, :, None, None]
        h = s.conv(n + '.conv2', F.silu(s.norm(n + '.norm2', h)), o)
        if resize or x.shape[1] != o: x = s.conv(n + '.conv_shortcut', x, o, 1)
        return s.join(x, h)
    def attend(s, n, x):
        b, c, h, w = x.shape
        z = s.norm(n + '.group_norm', x).flatten(2).transpose(1, 2)
        q, k, v = (s.linear(f'{n}.to_{m}', z, c) for m in 'qkv')
        z = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(c), -1) @ v
        return s.join(x, s.linear(n + '.to_out.0', z, c).transpose(1, 2).reshape(b, c, h, w))
    def condition(s, t, label):
        if s.fourier:
            a = t[:, None] * s.par('time_proj.weight', s.base)[None] * TURN
        else:
            half = s.base // 2
            a = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half).double() / (half - 1))[None]
        e = torch.cat([a.sin(), a.cos()], 1)
        e = s.linear('time_embedding.linear_2', F.silu(s.linear('time_embedding.linear_1', e, 4 * s.base)), 4 * s.base)
        if s.classes: e = e + s.par('class_embedding.weight', s.classes + 1, 4 * s.base)[label]
        return F.silu(e)
    def see(s, n, pyramid, h):
        """The next of the pyramid, and h with it."""
        if s.progressive_input == 'none': return None, h
        if s.progressive_input == 'input-skip':
            pyramid = s.down(pyramid)
            seen = s.conv(n + '.skip_conv', pyramid, h.shape[1], 1)
            return pyramid, torch.cat([seen, h], 1) if s.combine == 'cat' else seen + h
        wide = fir_blur(pyramid) if s.fir else F.pad(pyramid, (0, 1, 0, 1))
        pyramid = s.join(s.conv(n + '.skip_conv', wide, h.shape[1], 3, 2, 0), h)
        return pyramid, pyramid
    def __call__(s, x, t, label):
        levels, temb = len(s.mult), s.condition(t, label)
        width = lambda l: s.base * s.mult[l]
        pyramid, said = x, None
        h = s.conv('conv_in', x, s.base); skips = [h]
        for l in range(levels):
            n = f'down_blocks.{l}'
            for i in range(s.blocks):
                h = s.residual(f'{n}.resnets.{i}', h, temb, width(l))
                if s.attention[l]: h = s.attend(f'{n}.attentions.{i}', h)
                skips.append(h)
            if l < levels - 1:
                h = s.residual(n + '.resnet_down', h, temb, width(l), s.down)
                pyramid, h = s.see(n, pyramid, h)
                skips.append(h)
        h = s.residual('mid_block.resnets.0', h, temb, width(levels - 1))
        h = s.attend('mid_block.attentions.0', h)
        h = s.residual('mid_block.resnets.1', h, temb, width(levels - 1))
        for u, l in enumerate(reversed(range(levels))):
            n = f'up_blocks.{u}'
            for i in range(s.blocks + 1):
                h = s.residual(f'{n}.resnets.{i}', torch.cat([h, skips.pop()], 1), temb, width(l))
                if s.attention[l] and not s.once: h = s.attend(f'{n}.attentions.{i}', h)
            if s.attention[l] and s.once: h = s.attend(f'{n}.attentions.0', h)
            if l:
                if s.output_skip:
                    say = s.conv(n + '.skip_conv', F.silu(s.norm(n + '.skip_norm', h)), s.channels)
                    said = say if said is None else s.up(said) + say
                h = s.residual(n + '.resnet_up', h, temb, width(l), s.up)
        h = s.conv('conv_out', F.silu(s.norm('conv_norm_out', h)), s.channels)
        if said is not None: h = s.up(said) + h
        return h / t.exp()[:, None, None, None] if s.over_sigma else h

def gradients(net, value):
    names = [k for k, p in net.p.items() if p.requires_grad]
    got = torch.autograd.grad(value, [net.p[k] for k in names], retain_graph=True, allow_unused=True)
    out = {k: torch.zeros_like(net.p[k]) for k in net.p}
    out.update({k: g for k, g in zip(names, got) if g is not None})
    return out

def make(name):
    c = NETS[name]; rng = np.random.default_rng(SEED); shape = (len(c['t']), c['channels'], *c['size'])
    draw = lambda: torch.from_numpy(rng.standard_normal(shape).astype(np.float32)).double()
    x, v, target = draw(), draw(), draw(); x.requires_grad_()
    t = torch.tensor(c['t'], dtype=torch.float64); label = None if c['label'] is None else torch.tensor(c['label'])
    net = Net(**{k: w for k, w in c.items() if k not in ('t', 'label', 'size')})
    f = net(x, t, label)
    # J v by two reverse passes: u -> J' u is linear, and its own adjoint at v is J v.
    u = torch.zeros_like(f, requires_grad=True)
    jv = torch.autograd.grad(torch.autograd.grad(f, x, u, create_graph=True)[0], u, v, create_graph=True)[0]
    loss, implicit = F.mse_loss(f, target), (f**2 + 2 * v * jv).mean()
    nhwc = lambda w: w.detach().permute(0, 2, 3, 1).numpy().astype(np.float32)
    out = {'x': nhwc(x), 'v': nhwc(v), 'target': nhwc(target), 't': np.array(c['t'], np.float32), 'f': nhwc(f), 'jv': nhwc(jv),
           'loss': np.array([float(loss)]), 'implicit': np.array([float(implicit)])}
    if c['label']: out['label'] = np.array(c['label'], np.int32)
    for k, g in gradients(net, loss).items(): out['grad/' + k] = g.numpy().astype(np.float32)
    for k, g in gradients(net, implicit).items(): out['implicit/' + k] = rules.sketch(k, g)[:1 + rules.SKETCH]
    path = os.path.join(HERE, name + '.safetensors')
    rules.save(path, out, {'made_by': 'make_ncsnpp.py', 'torch': torch.__version__, 'network': json.dumps(c)})
    print(f'{path}: {sum(p.numel() for p in net.p.values())} parameters in {len(net.p)} tensors, loss {float(loss):.9f}, '
          f'implicit {float(implicit):.9f}, {os.path.getsize(path)} bytes')

if __name__ == '__main__':
    torch.set_num_threads(1)
    for name in NETS: make(name)
