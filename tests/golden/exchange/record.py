"""Writes the networks in this folder: a state_dict in `.pt`, an input and the spikes that the library gives for it.

    python record.py        with torch, safetensors, snntorch 1.0.0 and spikingjelly 2.0.0

`manifest.json` says of each what Spark has to be told besides: `hints`, or a whole `model`.
"""

import json
from pathlib import Path

import snntorch as snn
import torch
from safetensors.torch import save_file
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

HERE = Path(__file__).parent
STEPS, BATCH = 20, 4


class Functional(nn.Module):
    """Named modules, as most networks of snnTorch have them, and the order in which they run."""

    def __init__(self, order, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.order = order.split()

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


def units(kind, *args, **kwargs):
    return kind(*args, init_hidden=True, **kwargs)


def two(first, second, width=16, inputs=12, outputs=5, order="fc1 lif1 fc2 lif2"):
    return Functional(order, fc1=nn.Linear(inputs, width), fc2=nn.Linear(width, outputs), lif1=first, lif2=second)


def dense(kind, **settings):
    return [{"kind": "dense", "units": 16}, {"kind": kind, **settings},
            {"kind": "dense", "units": 5}, {"kind": kind, **settings}]


def snntorch_cases():
    yield "leaky", two(
        units(snn.Leaky, 0.9, learn_beta=True, threshold=0.7, learn_threshold=True),
        units(snn.Leaky, torch.linspace(0.5, 0.9, 5), reset_mechanism="none"),
    ), {"gain": 2.0}
    yield "leaky_zero_graded", two(
        units(snn.Leaky, 0.8, threshold=torch.linspace(0.4, 1.0, 16), reset_mechanism="zero"),
        units(snn.Leaky, 0.95, graded_spikes_factor=0.75, learn_graded_spikes_factor=True),
    ), {"gain": 2.0}
    yield "leaky_at_once", two(
        units(snn.Leaky, 0.9, reset_delay=False, threshold=0.6),
        units(snn.Leaky, 0.9, reset_delay=False, reset_mechanism="zero", threshold=0.6),
    ), {"hints": {"reset_delay": False}}
    yield "recurrent", two(
        units(snn.RLeaky, 0.9, linear_features=16, threshold=0.6),
        units(snn.RSynaptic, 0.7, 0.9, linear_features=5, threshold=0.6),
    ), {}
    yield "recurrent_one_to_one", two(
        units(snn.RLeaky, 0.9, V=torch.linspace(-0.5, 0.5, 16), all_to_all=False),
        units(snn.RLeaky, 0.9, V=-0.8, all_to_all=False, reset_mechanism="none"),
    ), {}
    yield "synaptic_lapicque", two(
        units(snn.Synaptic, 0.6, 0.9, threshold=0.8), units(snn.Lapicque, R=2.0, C=3.0, threshold=0.3)
    ), {"gain": 2.0}
    yield "alpha", two(
        units(snn.Alpha, 0.9, 0.7, threshold=0.2), units(snn.Alpha, 0.9, 0.7, threshold=0.2)
    ), {"model": {"input": [12], "layers": dense("alpha")}}
    # As many inputs as units: otherwise snnTorch 1.0.0 starts anew in every step.
    lstm = nn.Sequential(nn.Linear(12, 8), units(snn.Leaky, 0.9, threshold=0.5), units(snn.SLSTM, 8, 8, threshold=0.05))
    yield "lstm", lstm, {"model": {"input": [12], "layers": [
        {"kind": "dense", "units": 8}, {"kind": "leaky"}, {"kind": "spiking_lstm", "units": 8}]}}
    conv = Functional(
        "conv1 pool lif1 conv2 pool lif2 flat fc lif3",
        conv1=nn.Conv2d(1, 3, 3), lif1=units(snn.Leaky, 0.9, threshold=0.5), conv2=nn.Conv2d(3, 4, 2, bias=False),
        lif2=units(snn.Leaky, 0.8, threshold=0.4), fc=nn.Linear(16, 5), lif3=units(snn.Leaky, 0.9, threshold=0.3),
        pool=nn.MaxPool2d(2), flat=nn.Flatten(),
    )
    yield "conv", conv, {"hints": {"input": [1, 12, 12], "pool": "max2"}, "shape": [1, 12, 12]}


def spikingjelly_cases():
    def net(first, second):
        return nn.Sequential(layer.Linear(12, 16), first, layer.Linear(16, 5), second)

    yield "lif", net(neuron.LIFNode(tau=2.0), neuron.LIFNode(tau=2.0)), {"hints": {"tau": 2.0}, "gain": 3.0}
    yield "if", net(neuron.IFNode(), neuron.IFNode()), {"hints": {"units": "if"}}
    yield "parametric", net(neuron.ParametricLIFNode(3.0), neuron.ParametricLIFNode(1.5)), {"gain": 3.0}
    soft = {"v_threshold": 0.75, "v_reset": None, "decay_input": False}
    yield "lif_soft", net(neuron.LIFNode(tau=4.0, **soft), neuron.LIFNode(tau=4.0, **soft)), {"model": {
        "input": [12],
        "layers": dense("leaky", decay=0.75, threshold=0.75, reset="subtract", scale_input=False)}}
    rest = {"v_threshold": 0.5, "v_reset": -0.25}
    yield "lif_rest", net(neuron.LIFNode(tau=2.0, **rest), neuron.LIFNode(tau=2.0, **rest)), {"gain": 4.0, "model": {
        "input": [12], "layers": dense("leaky", decay=0.5, threshold=0.5, reset_value=-0.25)}}
    yield "sliding", net(neuron.SlidingPSN(k=3), neuron.SlidingPSN(k=2)), {"gain": 3.0}
    block = lambda channels, width: [
        layer.Conv2d(channels, width, 3, bias=False), layer.BatchNorm2d(width), layer.MaxPool2d(2),
        neuron.ParametricLIFNode(init_tau=2.0)]
    conv = nn.Sequential(*block(1, 3), *block(3, 4), layer.Flatten(), layer.Linear(16, 5), neuron.ParametricLIFNode())
    for module in conv:
        if isinstance(module, layer.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.1, 0.3)
            nn.init.uniform_(module.weight, 0.8, 1.5)
            nn.init.uniform_(module.bias, 0.0, 0.4)
    yield "conv", conv, {"hints": {"input": [1, 14, 14], "pool": "max2"}, "shape": [1, 14, 14], "gain": 2.0}


@torch.no_grad()
def record(library, name, net, case):
    gain = case.pop("gain", 1.0)
    for parameter_name, parameter in net.named_parameters():
        if parameter_name.split(".")[-1] in ("weight", "weight_ih") and parameter.dim() > 1:
            parameter.mul_(2.0 * gain)
    net.eval()
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    functional.reset_net(net) if library == "spikingjelly" else None
    shape = case.pop("shape", [12])
    x = (torch.rand(STEPS, BATCH, *shape) < 0.3).float()
    spikes = []
    for step in x:
        out = net(step)
        spikes.append(out[0] if isinstance(out, tuple) else out)
    spikes = torch.stack(spikes)
    file = f"{library}_{name}"
    torch.save(net.state_dict(), HERE / f"{file}.pt")
    save_file({"input": x.to(torch.uint8).contiguous(), "spikes": spikes.contiguous()}, HERE / f"{file}.safetensors")
    rate = (spikes != 0).float().mean().item()
    print(f"{file}: rate {rate:.3f}")
    return {"file": file, "library": library, "rate": round(rate, 4), **case}


if __name__ == "__main__":
    torch.manual_seed(7)
    entries = [record("snntorch", *case) for case in snntorch_cases()]
    entries += [record("spikingjelly", *case) for case in spikingjelly_cases()]
    (HERE / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n")
