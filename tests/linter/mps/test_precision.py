"""Code at the border of a rule: what looks like a finding and is none, and other shapes of what is one."""

from __future__ import annotations

import pytest

from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.check import check_source

MODULE = "class M(nn.Module):\n    def __init__(self):\n        "
LOOP = "for x in batches:\n    loss = model(x)\n    loss.backward()\n    "

CLEAN = {
    "a command line default can be overridden": "parser.add_argument('--device', default='cuda')",
    "a parameter's default can be overridden": "def f(x, device=torch.device('cuda')):\n    return x.to(device)",
    "a comparison makes no tensor": "here = x.device == torch.device('cuda')",
    "another function's device argument": "place(x, device='cuda')",
    "another library's cuda": "quantizer.cuda(x, meta=meta)",
    "a seed is ignored without CUDA": "torch.cuda.manual_seed_all(1)",
    "a device that is chosen": "x.to('cuda' if torch.cuda.is_available() else 'mps')",
    "asking about CUDA": "torch.cuda.device_count() + torch.cuda.is_available()",
    "an optional CUDA extension": "try:\n    import triton\nexcept ImportError:\n    triton = None",
    "a lazily imported CUDA extension": "def kernel():\n    import triton\n    return triton",
    "a package of one's own": "from .triton import jit",
    "autocast that is switched off": "with torch.cuda.amp.autocast(False):\n    pass",
    "autocast for any device": "with torch.autocast(device.type, dtype=torch.bfloat16):\n    pass",
    "float32 autocast on MPS": "with torch.autocast('mps', dtype=torch.float32):\n    pass",
    "a refusal of neither": (
        "if not (torch.cuda.is_available() or torch.backends.mps.is_available()):\n    raise SystemExit"
    ),
    "a choice that knows MPS": (
        "if torch.cuda.is_available():\n    d = 'cuda'\nelif torch.backends.mps.is_available():\n    d = 'mps'\n"
        "else:\n    d = 'cpu'"
    ),
    "a choice of three in a line": (
        "d = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu'"
    ),
    "a choice that is made better behind it": (
        "d = 'cuda' if torch.cuda.is_available() else 'cpu'\nif torch.backends.mps.is_available():\n    d = 'mps'"
    ),
    "a choice left to torch": (
        "d = torch.accelerator.current_accelerator() or ('cuda' if torch.cuda.is_available() else 'cpu')"
    ),
    "where a checkpoint is read to": "torch.load(p, map_location='cuda' if torch.cuda.is_available() else 'cpu')",
    "a device that is asked for its kind": "kind = 'cuda' if device.type == 'cuda' else 'cpu'",
    "a backend that is chosen": "backend = 'nccl' if torch.cuda.is_available() else 'gloo'",
    "a number that is chosen": "workers = 0 if torch.cuda.is_available() else 4",
    "a copy of a model on the CPU": (
        "def run(make, device):\n    model = make()\n    mean = copy.deepcopy(model).to(torch.float64)\n"
        "    model.to(device)\n    return mean"
    ),
    "float64 in a collate function": "def collate(rows):\n    return torch.from_numpy(np.zeros(3))",
    "float64 in a data set": (
        "class Speech(torch.utils.data.Dataset):\n    def __getitem__(self, i):\n        return torch.ones(3).double()"
    ),
    "numpy's float64 that only finds an index": (
        "def f(x, n):\n    k = torch.from_numpy(np.linspace(0, 1, n))\n    x[torch.argmin(k)] = 0\n    return x"
    ),
    "float64 on the CPU by name": "x = torch.zeros(3, dtype=torch.float64, device='cpu')",
    "float64 that stays where it is made": "x = torch.zeros(3, dtype=torch.float64)",
    "float64 narrowed before it travels": "x = torch.arange(3, dtype=torch.float64)\ny = x.float().to(device)",
    "float64 after a move to the CPU": "y = x.detach().cpu()\nz = y.double()",
    "float64 for other devices": "y = x.float() if x.device.type == 'mps' else x.double()",
    "float64 of numbers": "y = torch.tensor([1.0]).double()",
    "a method that is about float64": "class M:\n    def double(self):\n        return self.map(lambda t: t.double())",
    "numpy with a type": "x = torch.from_numpy(np.zeros(3, dtype=np.float32))",
    "numpy with a type by position": "x = torch.tensor(np.zeros(3, np.float32))",
    "numpy of whole numbers": "x = torch.from_numpy(np.arange(3))",
    "a tensor with a type": "x = torch.tensor(np.ones(3), dtype=torch.float32)",
    "numpy narrowed on the way": "x = torch.from_numpy(np.ones(3)).to(device, torch.float32)",
    "numpy as another tensor is": "x = torch.from_numpy(np.ones(3)).to(other)",
    "an array of unknown type": "x = torch.from_numpy(samples)",
    "nll of log-probabilities from elsewhere": "loss = F.nll_loss(model(x), y)",
    "a softmax that is shown": "p = torch.softmax(x, -1)\nloss = F.cross_entropy(x, y)",
    "the logarithm of a sum": "y = torch.log(x.sum())",
    "a list of numbers in a module": MODULE + "self.sizes = [1, 2]",
    "a number as a tensor in a module": MODULE + "self.eps = torch.tensor(1e-5)",
    "a tensor read out in a module": MODULE + "self.n = torch.ones(3).tolist()",
    "a tensor of no module": "class Mean:\n    def __init__(self):\n        self.total = torch.zeros(3)",
    "a state set while running": "class M(nn.Module):\n    def forward(self, x):\n        self.last = torch.zeros(3)",
    "a tensor that is moved by hand": (
        MODULE + "self.m = torch.ones(3)\n    def forward(self, x):\n        return x * self.m.to(x.device)"
    ),
    "a Parameter": MODULE + "self.w = nn.Parameter(torch.ones(3))",
    "a high watermark above the low default": "os.environ['PYTORCH_MPS_HIGH_WATERMARK_RATIO'] = '1.6'",
    "both watermarks, one unknown": (
        "os.environ['PYTORCH_MPS_HIGH_WATERMARK_RATIO'] = '0.8'\nos.environ['PYTORCH_MPS_LOW_WATERMARK_RATIO'] = low"
    ),
    "a fallback that the caller decides": "os.environ['PYTORCH_ENABLE_MPS_FALLBACK'] = value\nimport torch",
    "another dictionary": "settings['PYTORCH_ENABLE_MPS_FALLBACK'] = '1'",
    "a loss of two parts": LOOP + "loss += penalty",
    "a sum within the step": (
        "for x in batches:\n    total = 0\n    for y in x:\n        total += model(y)\n    total.backward()"
    ),
    "a list within the step": LOOP + "parts = []\n    parts.append(loss)",
    "item of what a loader gives": "for x, n in batches:\n    model(x).backward()\n    seen += n.item()",
    "item before a move": (
        "for batch in data:\n    x, n = batch\n    seen += n.sum().item()\n    n = n.to(device)\n"
        "    model(x, n).backward()"
    ),
    "item behind an interval": LOOP + "if step % 100:\n        continue\n    print(loss.item())",
    "item of numpy's": LOOP + "mean = np.mean(losses).item()",
    "item of a tensor on the CPU": "count = torch.zeros(1)\n" + LOOP + "print(count.item())",
    "items of a dictionary": LOOP + "for k, v in metrics.items():\n        pass",
    "print of numbers": LOOP + "print(step, len(batches), loss.shape)",
    "a condition on a shape": LOOP + "if loss.dim() > 0 and loss.numel() == 1:\n        pass",
    "a condition on being there": LOOP + "if loss is None or loss.grad_fn is None:\n        pass",
    "a clock beside synchronize": LOOP + "torch.mps.synchronize()\n    now = time.perf_counter()",
    "a clock that ends with item": (
        "for x in batches:\n    start = time.time()\n    loss = model(x)\n    loss.backward()\n"
        "    if x:\n        v = loss.item()\n    took = time.time() - start"
    ),
    "a clock over the epoch": "start = time.time()\n" + LOOP + "took = time.time() - start",
    "a large roll": "y = torch.roll(torch.zeros(64, 64, device=device), 1)",
    "a roll on the CPU": "y = torch.roll(torch.zeros(8), 1)",
    "a roll of unknown size": "y = torch.roll(torch.zeros(n, device=device), 1)",
    "a loop over layers": "for i in range(4):\n    h = h * scale[i] + bias",
    "a loop over chunks": "for i in range(num_chunks):\n    h = h * decay[:, i] + new[:, i]",
    "a loop in strides": "for i in range(0, length, 64):\n    h = h * decay[:, i] + new[:, i]",
    "a sum over time": "for t in range(length):\n    total = total + x[:, t]",
    "a recurrence in numpy": "x = np.zeros((2, 9))\nfor t in range(9):\n    h = h * 0.5 + x[:, t]",
    "a fill of a new tensor": "y = torch.empty_like(x).normal_()",
    "arithmetic into a view": "x[2::2].addcmul_(a, b)",
    "a fill of leading rows": "x[:4].uniform_()",
    "a fill of a parameter before it is moved": "def reset_parameters(self):\n    self.w[:, 1:].normal_()",
    "a fused optimizer for CUDA": "torch.optim.AdamW(p, fused=torch.cuda.is_available())",
    "a fused optimizer where the device is CUDA": "if device.type == 'cuda':\n    torch.optim.AdamW(p, fused=True)",
    "another library's optimizer": "import apex\napex.optimizers.FusedAdam(p, fused=True)",
    "the inverse of a magnitude": "x = torch.stft(y, 512, return_complex=True)\ntorch.linalg.inv(x.abs())",
    "the inverse of a real tensor": "torch.linalg.inv(x)",
    "a complex product": "x = torch.fft.fft(y)\nz = x @ x.mH * 1j",
    "einsum of what is conjugated for good": "torch.einsum('i,i', x, x.conj().resolve_conj())",
    "pinned where there is CUDA": "DataLoader(data, pin_memory=torch.cuda.is_available())",
    "pinned by choice": "if pin:\n    x = x.pin_memory()",
    "workers by option": "DataLoader(data, num_workers=args.workers)",
    "workers with a limit": "DataLoader(data, num_workers=min(8, os.cpu_count()))",
    "a lambda without workers": "DataLoader(data, collate_fn=lambda rows: rows)",
    "CTC on the CPU": "criterion = F.ctc_loss(x.to('cpu'), y, n, m)",
    "CTC on the CPU where the device is MPS": (
        "def ctc(x, y, n, m):\n    if x.device.type == 'mps':\n        x = x.cpu()\n    return F.ctc_loss(x, y, n, m)"
    ),
    "float32 where the device is MPS": (
        "def total(x):\n    if x.device.type == 'mps':\n        return x.sum()\n    return x.double().sum()"
    ),
    "a tolerance between results of one device": "assert torch.allclose(a, b)",
    "gloo": "torch.distributed.init_process_group('gloo')",
}
FOUND = {
    "MPS001": ["model.cuda(non_blocking=True)", "def f(x):\n    return x.view(3).cuda(0)"],
    "MPS002": [
        "x.to('cuda:0')",
        "x.to(device='cuda')",
        "x.to(f'cuda:{rank}')",
        "torch.load(path, map_location='cuda')",
        "torch.set_default_device('cuda')",
        "x.new_zeros(3, device='cuda')",
        "kind = 'cuda'\nx.to(kind)\ny.to(kind)",
        "device = torch.device('cuda')\nx.to(device)",
    ],
    "MPS003": ["torch.cuda.set_device(0)", "from torch import cuda\ncuda.Event()"],
    "MPS004": ["torch.cuda.empty_cache()"],
    "MPS005": [
        "if not torch.cuda.is_available():\n    raise RuntimeError('no GPU')",
        "if not torch.cuda.is_available():\n    quit()",
    ],
    "MPS006": [
        "with torch.autocast('cuda'):\n    pass",
        "from torch.cuda.amp import GradScaler\nGradScaler()",
        "torch.amp.GradScaler()",
    ],
    "MPS007": ["torch.distributed.init_process_group(backend='nccl')"],
    "MPS008": ["import triton.language as tl", "from flash_attn import flash_attn_func"],
    "MPS009": [
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "device = torch.device('cuda:0') if torch.cuda.is_available() else torch.device('cpu')",
        "device = 'cpu' if not torch.cuda.is_available() else f'cuda:{gpu}'",
        "device = torch.device('cuda:%d' % gpu if torch.cuda.is_available() else 'cpu')",
        "device = torch.device('cuda:' + gpu if torch.cuda.is_available() else 'cpu')",
        "device = torch.device('cuda:{}'.format(gpu) if torch.cuda.is_available() else 'cpu')",
        "parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')",
        "use = not args.no_cuda and torch.cuda.is_available()\ndevice = torch.device('cuda' if use else 'cpu')",
        "device = torch.cuda.is_available() and 'cuda' or 'cpu'",
        "device = ['cpu', 'cuda'][torch.cuda.is_available()]",
        "device = {True: 'cuda', False: 'cpu'}[torch.cuda.is_available()]",
        "device = 0 if torch.cuda.is_available() else -1",
        "device = 'cuda' if torch.cuda.device_count() > 0 else 'cpu'",
        "device = 'cuda' if torch.cuda.is_available() else 'xpu' if torch.xpu.is_available() else 'cpu'",
        "if torch.cuda.is_available():\n    d = torch.device('cuda')\nelse:\n    d = torch.device('cpu')",
        "def get_device():\n    if torch.cuda.is_available():\n        return 'cuda'\n    return 'cpu'",
        "d = torch.device('cpu')\nif torch.cuda.is_available():\n    d = torch.device('cuda', rank)",
        "d = 'cuda'\nif not torch.cuda.is_available():\n    d = 'cpu'",
        "def f(args):\n    if args.use_cuda:\n        d = 'cuda'\n    else:\n        d = 'cpu'",
        "def f(self):\n    self.device = 'cpu'\n    if torch.cuda.is_available():\n        self.device = 'cuda'",
        "def f(device='cuda' if torch.cuda.is_available() else 'cpu'):\n    pass",
        "def f(model):\n    if torch.cuda.is_available():\n        model = model.cuda()\n    return model",
        "trainer = Trainer(accelerator='gpu' if torch.cuda.is_available() else 'cpu')",
        "t = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor",
    ],
    "MPS010": [
        "torch.zeros(3).double().to(device)",
        "nn.Linear(3, 3).double().to(device)",
        "m = nn.Linear(3, 3).double()\nm.to(device)",
        "torch.zeros(3, dtype=torch.double).to('mps')",
        "torch.zeros(3, dtype=float).to(device)",
        "kind = torch.double\ntorch.zeros(3, dtype=kind, device=device)",
        "from torch import float64 as wide\ntorch.ones(3, dtype=wide).to(device)",
        "torch.rand(3, dtype=getattr(torch, 'float64')).to(device)",
        "torch.randn(3).type(torch.DoubleTensor).to(device)",
        "torch.randn(3).type('torch.DoubleTensor').to(device)",
        "torch.DoubleTensor([1, 2]).to(device)",
        "torch.linspace(0, 1, 5, dtype=torch.float64).to(device)",
        "torch.empty(3, dtype=torch.float64).to(device, non_blocking=True)",
        "torch.set_default_tensor_type('torch.DoubleTensor')",
        "torch.set_default_tensor_type(torch.DoubleTensor)",
        "F.softmax(x, dim=-1, dtype=torch.float64)",
        "x.sum(dtype=torch.float64)",
        "torch.zeros_like(x, dtype=torch.float64)",
        "nn.Linear(3, 3, dtype=torch.float64, device=device)",
        MODULE + "self.p = nn.Parameter(torch.zeros(3, dtype=torch.float64))",
        "x = torch.arange(3, dtype=torch.float64)\ny = x / 2 + 1\nz = torch.sin(y).to(device)",
        "x.to(torch.float64)",
        "x.type(torch.double)",
        "x.to(device, dtype=torch.float64)",
        "torch.zeros(3, dtype=torch.float64, device=device)",
        "torch.set_default_dtype(torch.float64)",
        "x.to(torch.complex128)",
        "x = torch.zeros(3, dtype=torch.float64)\nx.to(device)",
        MODULE + "self.register_buffer('w', torch.ones(3, dtype=torch.double))",
    ],
    "MPS011": [
        "torch.tensor(np.array([0.5, 1]))",
        "w = np.linspace(0, 1, 9)\ntorch.from_numpy(w)",
        "torch.as_tensor(2 * np.random.randn(3))",
        "torch.from_numpy(np.hanning(400)).reshape(1, -1).to(device)",
        "x = np.ones((3, 4))\ntorch.tensor(x, device=device)",
        "torch.from_numpy(np.sin(np.arange(9))).to(device)",
        "torch.from_numpy(np.arange(9) / 10).to(device)",
        "torch.from_numpy(x.astype(np.float64)).to(device)",
        "torch.from_numpy(x.astype('float64')).to(device)",
        "torch.from_numpy(np.random.default_rng(0).normal(size=3)).to(device)",
        "rng = np.random.default_rng(0)\ntorch.as_tensor(rng.standard_normal(3)).to(device)",
        "import soundfile\nx, rate = soundfile.read(path)\ntorch.from_numpy(x).to(device)",
        "def f(n):\n    x = np.zeros(n)\n    x[0] = 1\n    return torch.from_numpy(x).to(device)",
        MODULE + "self.p = nn.Parameter(torch.tensor(np.random.randn(3, 4)))",
    ],
    "MPS012": ["with torch.autocast(device_type='mps'):\n    pass", "torch.set_default_dtype(torch.bfloat16)"],
    "MPS013": ["y_mps = model(x)\ntorch.testing.assert_close(y_mps.cpu(), y)"],
    "MPS020": [
        "logp = F.log_softmax(x, -1)\nF.nll_loss(logp, y)",
        "criterion = nn.NLLLoss()\ncriterion(x.log_softmax(-1), y)",
        MODULE + "self.loss = nn.NLLLoss()\n    def f(self, x, y):\n        return self.loss(F.log_softmax(x, 1), y)",
    ],
    "MPS021": ["F.softmax(x, -1).log()", "torch.log(torch.sigmoid(x))", "p = x.softmax(-1)\np.log()"],
    "MPS022": ["nn.CrossEntropyLoss()(F.softmax(x, 1), y)", "head = nn.Softmax(1)\nF.cross_entropy(head(x), y)"],
    "MPS023": ["nn.BCELoss()(x.sigmoid(), y)"],
    "MPS030": [
        MODULE + "self.m = torch.arange(9).float() * 2",
        "class A(nn.Module):\n    pass\nclass B(A):\n    def __init__(self):\n        self.m = [torch.ones(3)]",
        "class M(nn.Module):\n    def __init__(self):\n        m = torch.ones(3, 3)\n        self.m = torch.triu(m)",
    ],
    "MPS040": ["os.environ.setdefault('PYTORCH_MPS_HIGH_WATERMARK_RATIO', '0.8')"],
    "MPS041": ["torch.mps.set_per_process_memory_fraction(0.0)"],
    "MPS042": ["losses = []\n" + LOOP + "losses.append(loss)", "total = 0\n" + LOOP + "total += loss * 2"],
    "MPS043": [LOOP + "torch.mps.empty_cache()"],
    "MPS050": [
        LOOP + "losses.append(loss.item())",
        "for x, y in data:\n    y = y.to(device)\n    loss(x, y).backward()\n    n += y.sum().item()",
    ],
    "MPS051": [
        LOOP + "found.append(loss.to('cpu'))",
        LOOP + "found += loss.tolist()",
        LOOP + "a = loss.detach().cpu().numpy()",
    ],
    "MPS052": [LOOP + "print(f'{step}: {loss:.3f}')"],
    "MPS053": [
        LOOP + "assert not torch.isnan(loss)",
        LOOP + "if loss > 5 and step:\n        pass",
        LOOP + "value = float(loss)",
        "net = nn.Tanh().to(device)\nfor x in data:\n    y = net(x)\n    y.sum().backward()\n    assert y.max() < 9",
    ],
    "MPS054": [LOOP + "torch.accelerator.synchronize()"],
    "MPS056": [LOOP + "\ny = loss.detach().numpy()"],
    "MPS060": ["criterion = nn.CTCLoss()", "torch.linalg.matrix_exp(x)"],
    "MPS061": [
        "os.environ.setdefault('PYTORCH_ENABLE_MPS_FALLBACK', '1')",
        "from os import environ\nenviron['PYTORCH_ENABLE_MPS_FALLBACK'] = '1'",
        "os.environ.update(PYTORCH_ENABLE_MPS_FALLBACK='1')",
        "os.environ.update({'PYTORCH_ENABLE_MPS_FALLBACK': '1'})",
        "os.putenv('PYTORCH_ENABLE_MPS_FALLBACK', '1')",
    ],
    "MPS063": ["i = torch.arange(9, device=device)\ni.roll(1)", "torch.zeros((3, 4), device='mps').scatter_(0, i, 1)"],
    "MPS064": [
        "for t in reversed(range(length)):\n    h = h @ w + x[:, t]",
        "for t in range(length):\n    h = x[..., t] * h\n    y.append(h)",
    ],
    "MPS065": ["x[:, ::2].uniform_()", "x[:, 1:].exponential_()", "w.T.bernoulli_()", "x.permute(1, 0).random_()"],
    "MPS066": [
        "torch.optim.Adam(p, fused=True)",
        "from torch.optim import SGD\nSGD(p, lr=0.1, fused=True)",
        "settings = {'lr': 1e-3, 'fused': True}\ntorch.optim.AdamW(p, **settings)",
        "make = torch.optim.AdamW\nmake(p, fused=True)",
    ],
    "MPS068": [
        "x = torch.stft(y, 512, return_complex=True)\ntorch.linalg.inv(x)",
        "torch.inverse(torch.complex(a, b))",
        "x = torch.zeros(3, 3, dtype=torch.complex64, device=device)\nx.det()",
        "x = torch.exp(1j * phase)\ntorch.var(x[:, 0].conj())",
    ],
    "MPS069": ["z = torch.conj(y)\ntorch.einsum('i,i', x, z)"],
    "MPS070": ["DataLoader(data, 8, pin_memory=True)", "x = x.pin_memory().to(device)"],
    "MPS071": ["DataLoader(data, num_workers=os.cpu_count())", "n = 12\nDataLoader(data, num_workers=n)"],
    "MPS072": ["DataLoader(data, num_workers=2, worker_init_fn=lambda i: None)"],
}
SHAPES = [(code, text) for code, texts in FOUND.items() for text in texts]
# The fallback rules look at the order of imports, so those shapes import torch not at all.
HEAD = "import copy, os, time\nimport numpy as np\n"
TORCH = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nfrom torch.utils.data import DataLoader\n"


def codes(text: str) -> set[str]:
    head = HEAD if "FALLBACK" in text else HEAD + TORCH
    return {found.code for found in check_source(SourceFile("train.py", head + text + "\n"))}


@pytest.mark.parametrize("text", CLEAN.values(), ids=list(CLEAN))
def test_no_finding(text: str) -> None:
    assert codes(text) == set()


@pytest.mark.parametrize(("code", "text"), SHAPES)
def test_other_shapes_are_found(code: str, text: str) -> None:
    assert codes(text) == {code}


def test_a_device_that_several_calls_take_is_shown_once_where_it_is_written() -> None:
    found = check_source(SourceFile("train.py", "import torch\nkind = 'cuda'\nx.to(kind)\ny.to(kind)\n"))
    assert [each.span.location.line for each in found if each.span] == [2]


def test_the_scan_of_the_field_guide_is_found() -> None:
    text = """
import torch
def selective_scan_pytorch(u, delta_A, delta_B_u, C):
    h = torch.zeros(1, 2, 3, device=u.device)
    ys = []
    for i in range(u.shape[1]):
        h = delta_A[:, i] * h + delta_B_u[:, i]
        ys.append((h @ C[:, i].unsqueeze(-1)).squeeze(-1))
    return torch.stack(ys, dim=1)
"""
    assert [each.code for each in check_source(SourceFile("scan.py", text))] == ["MPS064"]
