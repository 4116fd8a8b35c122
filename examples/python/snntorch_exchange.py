"""Networks of snnTorch into Spark and back.

    python snntorch_exchange.py save mlp DIR       trains a small network, writes DIR/net.pt and DIR/record.safetensors
    python snntorch_exchange.py check NET RECORD   loads what `spark export` wrote strictly and compares spikes
"""

import sys

import snntorch as snn
import torch
from torch import nn

from exchange import check, save, train


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.lif1 = snn.Leaky(beta=0.9, init_hidden=True, learn_beta=True, learn_threshold=True)
        self.fc2 = nn.Linear(128, 10)
        self.lif2 = snn.Leaky(beta=torch.full((10,), 0.8), init_hidden=True, learn_beta=True)

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x.flatten(1)))))


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.lif1 = snn.Leaky(beta=0.8, init_hidden=True)
        self.conv2 = nn.Conv2d(8, 16, 5)
        self.lif2 = snn.Leaky(beta=0.8, init_hidden=True, reset_mechanism="zero")
        self.fc = nn.Linear(256, 10)
        self.lif3 = snn.Leaky(beta=0.8, init_hidden=True)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.lif1(self.pool(self.conv1(x)))
        x = self.lif2(self.pool(self.conv2(x)))
        return self.lif3(self.fc(x.flatten(1)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 64)
        self.lif1 = snn.RLeaky(beta=0.9, linear_features=64, init_hidden=True)
        self.fc2 = nn.Linear(64, 10)
        self.lif2 = snn.Synaptic(alpha=0.7, beta=0.9, init_hidden=True)

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x.flatten(1)))))


NETWORKS = {"mlp": Mlp, "conv": Conv, "recurrent": Recurrent}

if __name__ == "__main__":
    torch.manual_seed(1)
    if sys.argv[1:2] == ["check"]:
        sys.exit(check(sys.argv[2], sys.argv[3]) != 0)
    net = NETWORKS[sys.argv[2]]()
    print(f"accuracy {train(net, net.forward):.3f}")
    save(net, net.forward, sys.argv[3])
