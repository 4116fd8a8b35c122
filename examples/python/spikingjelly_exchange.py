"""Networks of SpikingJelly into Spark and back.

    python spikingjelly_exchange.py save mlp DIR       trains a small network, writes DIR/net.pt and DIR/record.safetensors
    python spikingjelly_exchange.py check NET RECORD   loads what `spark export` wrote strictly and compares spikes
"""

import sys

import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from exchange import check, save, train


def mlp():
    return nn.Sequential(
        layer.Flatten(),
        layer.Linear(784, 128),
        neuron.LIFNode(tau=2.0),
        layer.Linear(128, 10),
        neuron.LIFNode(tau=2.0),
    )


def conv():
    return nn.Sequential(
        layer.Conv2d(1, 8, 5, bias=False),
        layer.BatchNorm2d(8),
        layer.MaxPool2d(2),
        neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
        layer.Conv2d(8, 16, 5, bias=False),
        layer.BatchNorm2d(16),
        layer.MaxPool2d(2),
        neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
        layer.Flatten(),
        layer.Linear(256, 10),
        neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
    )


NETWORKS = {"mlp": mlp, "conv": conv}

if __name__ == "__main__":
    torch.manual_seed(1)
    if sys.argv[1:2] == ["check"]:
        sys.exit(check(sys.argv[2], sys.argv[3]) != 0)
    net = NETWORKS[sys.argv[2]]()
    print(f"accuracy {train(net, net.forward):.3f}")
    save(net, net.forward, sys.argv[3])
