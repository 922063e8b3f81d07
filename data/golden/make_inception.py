#!/usr/bin/python3
"""Inception-v3 computed by PyTorch: the golden files of tests/test_inception.c.

    make_inception.py        writes inception.safetensors and inception_tensors.json beside this script

Needs python3-torch and python3-torchvision (Debian 12: 1.13 and 0.14) and numpy. The network is torchvision's, with 1008 classes and no
second output, changed to that of the Frechet inception distance: means over 3x3 leave out what is padded, and the last block's pool is a
maximum. inception_tensors.json has its names and shapes (without num_batches_tracked). Weights follow the rule of
make_unet_s_step.py, convolutions times the root of 2, so that relu leaves the variance as it is, and means of batch norm less 1.

The safetensors file holds, in float64 rounded to f32, for "colour" (2,32,40,3) and "grey" (1,28,28,1), pictures in [-1,1] of bytes by
the rule: NAME the pictures, NAME/features (N,2048), NAME/logits (N,1008), of the pictures resized to 299 x 299 by
interpolate(mode='bilinear', align_corners=False)."""
import importlib.util, json, math, os
import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models import inception as tv

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('rules', os.path.join(HERE, 'make_unet_s_step.py'))
rules = importlib.util.module_from_spec(spec); spec.loader.exec_module(rules)

class Functional:
    """torch.nn.functional as torchvision's blocks see it, with another pool between their branches."""
    pool = None
    def __getattr__(s, name): return getattr(F, name)
    def avg_pool2d(s, x, **_): return s.pool(x)
def mean_pool(x): return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
def max_pool(x): return F.max_pool2d(x, kernel_size=3, stride=1, padding=1)

functional = tv.F = Functional()
def choose(pool): return lambda module, x: setattr(functional, 'pool', pool)
net = tv.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).double().eval()
net.Mixed_5b.register_forward_pre_hook(choose(mean_pool))
net.Mixed_7c.register_forward_pre_hook(choose(max_pool))

table, state = {}, {}
for name, t in net.state_dict().items():
    if name.endswith('num_batches_tracked'): continue
    table[name] = list(t.shape)
    w = rules.weight(name, tuple(t.shape))
    if name.endswith('conv.weight'): w = w * np.float32(math.sqrt(2))
    if name.endswith('running_mean'): w = w - 1
    state[name] = w.double()
net.load_state_dict(state, strict=False)
with open(os.path.join(HERE, 'inception_tensors.json'), 'w') as f:
    f.write('{\n' + ',\n'.join(f'  {json.dumps(k)}: {json.dumps(v)}' for k, v in table.items()) + '\n}\n')

features = {}
net.avgpool.register_forward_hook(lambda m, i, o: features.__setitem__('at', o.flatten(1)))
out = {}
for name, shape in (('colour', (2, 32, 40, 3)), ('grey', (1, 28, 28, 1))):
    x = (rules.word('inception ' + name, math.prod(shape)) >> np.uint64(56)).astype(np.float64).reshape(shape)
    out[name] = np.float32(np.float32(x) / np.float32(127.5) - np.float32(1))
    x = torch.from_numpy(out[name]).double().permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    with torch.no_grad():
        logits = net(F.interpolate(x, size=(299, 299), mode='bilinear', align_corners=False))
    out[name + '/features'], out[name + '/logits'] = features['at'].numpy(), logits.numpy()
    print(name, 'features', features['at'].abs().mean().item(), features['at'].std(0).mean().item(), 'logits', logits.std().item())
rules.save(os.path.join(HERE, 'inception.safetensors'), {k: v.astype(np.float32) for k, v in out.items()}, {})
