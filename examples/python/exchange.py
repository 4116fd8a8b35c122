"""Networks that `spark export` wrote, as modules of PyTorch; and what both examples beside this file share.

    from exchange import load, run
    net = load("net.safetensors")          # strictly: every tensor has its place
    spikes = run(net, x)                   # [time, batch, ...] in, [time, batch, units] out

Needs torch, numpy, safetensors, and snntorch or spikingjelly.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

DIGITS = Path(__file__).parents[2] / "crates/spark-train/data/mnist10k"


class Residual(torch.nn.Module):
    """What goes through `body` and what goes through `shortcut`, added."""

    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return run_step(self.body, x) + run_step(self.shortcut, x)


def run_step(modules, x):
    for module in modules:
        x = module(x)
    return x


class Network(torch.nn.Module):
    """Modules under the names of a description, in its order."""

    def __init__(self, description):
        super().__init__()
        self.library = description["library"]
        # A list of Python, not of PyTorch: it would add names of its own.
        self.row = [self.module(entry) for entry in description["modules"]]

    def module(self, entry):
        if entry["type"] == "Residual":
            body = [self.module(inner) for inner in entry.get("body", [])]
            return Residual(body, [self.module(inner) for inner in entry.get("shortcut", [])])
        module = build(self.library, entry)
        if "name" in entry:
            *path, last = entry["name"].split(".")
            at = self
            for part in path:
                if not hasattr(at, part):
                    at.add_module(part, torch.nn.Module())
                at = getattr(at, part)
            at.add_module(last, module)
        else:
            self.add_module(f"node{len(list(self.children()))}", module)
        return module

    def forward(self, x):
        """One step."""
        for module in self.row:
            x = module(x)
            # The readout of snnTorch gives spikes and its membrane: the latter is what it reports.
            if isinstance(x, tuple):
                x = x[-1]
        return x


def build(library, entry):
    """The module of one entry."""
    args = {name: argument(value) for name, value in entry.get("args", {}).items()}
    kind = entry["type"]
    if library == "snntorch":
        import snntorch
        from snntorch import surrogate

        if hasattr(snntorch, kind):
            gradients = {"atan": "alpha", "fast_sigmoid": "slope", "sigmoid": "slope"}
            given = entry.get("surrogate") or {}
            if given.get("kind") in gradients:
                steepness = given[gradients[given["kind"]]]
                args["spike_grad"] = getattr(surrogate, given["kind"])(steepness)
            return getattr(snntorch, kind)(init_hidden=True, **args)
    else:
        from spikingjelly.activation_based import neuron, surrogate

        if hasattr(neuron, kind):
            gradients = {"atan": ("ATan", "alpha"), "sigmoid": ("Sigmoid", "slope")}
            given = entry.get("surrogate") or {}
            if given.get("kind") in gradients:
                name, steepness = gradients[given["kind"]]
                args["surrogate_function"] = getattr(surrogate, name)(given[steepness])
            return getattr(neuron, kind)(**args)
    return getattr(torch.nn, kind)(**args)


def argument(value):
    """`{"tensor": shape}` is a tensor whose numbers are in the file."""
    return torch.ones(value["tensor"]) if isinstance(value, dict) else value


def load(path):
    """The network of a file that `spark export` wrote, with the description beside it."""
    path = Path(path)
    net = Network(json.loads(path.with_suffix(".json").read_text()))
    tensors = {name: data.float() if data.is_floating_point() else data for name, data in load_file(path).items()}
    net.load_state_dict(tensors, strict=True)
    return net.eval()


def reset(net):
    """Forgets what units remember."""
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()
        elif callable(getattr(module, "reset", None)):
            module.reset()


@torch.no_grad()
def run(net, x):
    """The spikes `[time, batch, units]` for an input `[time, batch, ...]`, from the state of rest."""
    reset(net)
    return torch.stack([net(step) for step in x]).flatten(2)


def digits(kind, limit):
    """Pictures `[n, 1, 28, 28]` from 0 to 1 and labels `[n]` of the digits that ship with Spark."""
    def idx(name, header):
        data = gzip.decompress((DIGITS / f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header).copy()

    labels = idx(f"{kind}-labels-idx1-ubyte", 8)[:limit]
    images = idx(f"{kind}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:limit]
    return torch.from_numpy(images).float() / 255, torch.from_numpy(labels).long()


def rate_coded(images, steps, seed):
    """Spikes `[steps, n, ...]`, as likely as pixels are bright."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, *images.shape, generator=generator) < images).float()


def train(net, forward, steps=15, epochs=1, limit=2000, batch=64, rate=2e-3):
    """One short training by the spike counts of the last units; the accuracy on the test pictures."""
    images, labels = digits("train", limit)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=rate)
    for epoch in range(epochs):
        for at in range(0, len(images), batch):
            x = rate_coded(images[at : at + batch], steps, seed=epoch * limit + at)
            reset(net)
            counts = torch.stack([forward(step) for step in x]).sum(0)
            loss = torch.nn.functional.cross_entropy(counts, labels[at : at + batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net.eval()
    images, labels = digits("t10k", 500)
    found = recorded(forward, net, rate_coded(images, steps, seed=1)).sum(0).argmax(1)
    return (found == labels).float().mean().item()


@torch.no_grad()
def recorded(forward, net, x):
    reset(net)
    return torch.stack([forward(step) for step in x])


def save(net, forward, folder, samples=100, steps=15):
    """`net.pt` and `record.safetensors`: an input and the spikes that the network gives for it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, _ = digits("t10k", samples)
    x = rate_coded(images, steps, seed=2)
    spikes = recorded(forward, net, x)
    torch.save(net.state_dict(), folder / "net.pt")
    save_file({"input": x.contiguous(), "spikes": spikes.contiguous()}, folder / "record.safetensors")
    print(f"{folder}: {int((spikes != 0).sum())} spikes of {spikes.numel()} places, {samples} pictures, {steps} steps")


def check(path, record):
    """Loads what `spark export` wrote, runs what `--record` wrote, and counts the spikes that differ."""
    net, record = load(path), load_file(record)
    shape = json.loads(Path(path).with_suffix(".json").read_text())["input"]
    x = record["input"].float()
    spikes = run(net, x.reshape(*x.shape[:2], *shape))
    different = int((spikes != record["spikes"]).sum())
    print(f"{path}: {int((spikes != 0).sum())} spikes of {spikes.numel()} places, {different} differ")
    return different
