"""Checks that NIR graphs and the outputs recorded beside them agree, with nothing but nir and numpy.

    python nir_roundtrip.py FOLDER...

Of every FILE.nir in a folder, FILE.safetensors holds the input `x`, [time, batch, ...] or [time, ...], and what
leaves the graph as `spikes` or `y`. The graph is read with nir.read, with its type check, and run by forward Euler.
Where snntorch is installed, graphs that it can import run there too.
"""

import pathlib
import sys

import nir
import numpy as np
from safetensors.numpy import load_file


class Euler:
    """A graph, step by step. A node that hears itself hears what it gave in the step before."""

    def __init__(self, graph, dt):
        self.dt = dt
        self.nodes, self.hears = {}, {}
        self.flatten(graph, "")
        self.memory, self.before = {}, {}

    def flatten(self, graph, prefix):
        for name, node in graph.nodes.items():
            if isinstance(node, nir.NIRGraph):
                self.flatten(node, f"{prefix}{name}.")
            else:
                self.nodes[prefix + name] = node
        end = lambda name, kind: prefix + name if not isinstance(graph.nodes[name], nir.NIRGraph) else next(
            f"{prefix}{name}.{inside}" for inside, node in graph.nodes[name].nodes.items() if isinstance(node, kind))
        for a, b in graph.edges:
            self.hears.setdefault(end(b, nir.Input), []).append(end(a, nir.Output))

    def step(self, x):
        self.now, self.busy = {}, set()
        output = next(name for name, node in self.nodes.items()
                      if isinstance(node, nir.Output) and "." not in name)
        self.x = x
        result = self.value(output)
        for name in self.nodes:
            self.value(name)
        self.before = self.now
        return result

    def value(self, name):
        if name in self.now:
            return self.now[name]
        if name in self.busy:
            return self.before.get(name)
        self.busy.add(name)
        node = self.nodes[name]
        if isinstance(node, nir.Input) and name not in self.hears:
            total = self.x
        else:
            heard = [self.value(other) for other in self.hears.get(name, [])]
            heard = [part for part in heard if part is not None]
            shape = (len(self.x), *node.input_type["input"])
            total = sum(heard[1:], heard[0]) if heard else np.zeros(shape, np.float32)
        self.now[name] = self.run(name, node, total)
        return self.now[name]

    def run(self, name, node, x):
        dt = self.dt
        kind = type(node).__name__
        if kind in ("Input", "Output"):
            return x
        if kind in ("Affine", "Linear"):
            return x @ node.weight.T + (node.bias if kind == "Affine" else 0)
        if kind == "Scale":
            return x * node.scale
        if kind == "Flatten":
            return x.reshape(len(x), -1)
        if kind == "Threshold":
            return (x > node.threshold).astype(np.float32)
        if kind in ("SumPool2d", "AvgPool2d"):
            (kh, kw), (sh, sw) = node.kernel_size, node.stride
            windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), (2, 3))[:, :, ::sh, ::sw]
            return windows.sum((-1, -2)) if kind == "SumPool2d" else windows.mean((-1, -2))
        if kind == "Conv2d":
            (ph, pw), (sh, sw) = node.padding, node.stride
            x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
            windows = np.lib.stride_tricks.sliding_window_view(x, node.weight.shape[2:], (2, 3))[:, :, ::sh, ::sw]
            return np.einsum("bcyxhw,ochw->boyx", windows, node.weight) + node.bias[:, None, None]
        if kind == "Delay":
            steps = np.rint(node.delay / dt).astype(int)
            past = self.memory.setdefault(name, [])
            past.append(x)
            late = np.zeros_like(x)
            for place in np.ndindex(steps.shape):
                if steps[place] < len(past):
                    late[(slice(None), *place)] = past[-1 - steps[place]][(slice(None), *place)]
            return late
        return self.unit(name, node, x)

    def unit(self, name, node, x):
        dt = self.dt
        v, i = self.memory.get(name, (np.zeros(x.shape), np.zeros(x.shape)))
        if hasattr(node, "tau_syn"):
            i = i + dt / node.tau_syn * (node.w_in * x - i)
            x = i
        tau = getattr(node, "tau", getattr(node, "tau_mem", None))
        v = v + (dt * node.r * x if tau is None else dt / tau * ((node.v_leak - v) + node.r * x))
        output = v
        if hasattr(node, "v_threshold"):
            output = (v > node.v_threshold).astype(np.float32)
            v = np.where(output > 0, node.v_reset, v)
        self.memory[name] = (v, i)
        return output


def in_snntorch(graph, x):
    """What snnTorch makes of the graph, or why it makes nothing of it."""
    try:
        import torch
        from snntorch.import_nir import import_from_nir
    except ImportError:
        return None, "is not installed"
    try:
        net = import_from_nir(graph)
        state, outputs = None, []
        with torch.no_grad():
            for step in torch.from_numpy(x):
                output, state = net(step, state)
                outputs.append(output)
        return torch.stack(outputs).numpy(), ""
    except Exception as error:  # Whatever it is: it is what a user of snnTorch would see.
        return None, f"cannot: {type(error).__name__}: {str(error)[:80]}"


def main(folders):
    failed = False
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob("*.nir")):
            graph = nir.read(path)
            recorded = load_file(path.with_suffix(".safetensors"))
            x, expected = recorded["x"], recorded.get("spikes", recorded.get("y"))
            shape = list(next(node for node in graph.nodes.values() if isinstance(node, nir.Input)).input_type["input"])
            batched = x.reshape(len(x), -1, *shape)
            euler = Euler(graph, float(graph.metadata.get("dt", 1e-4)))
            found = np.stack([euler.step(step) for step in batched]).reshape(expected.shape)
            differ = int((np.abs(found - expected) > 1e-5).sum())
            failed |= differ > 0 and "lossy" not in path.name
            print(f"{path.name}: {len(graph.nodes)} nodes, {differ} of {expected.size} numbers differ by forward Euler")
            found, why = in_snntorch(graph, batched)
            if found is None:
                print(f"    snnTorch {why}")
            else:
                print(f"    snnTorch: {int((found.reshape(expected.shape) != expected).sum())} differ")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1:] or [pathlib.Path(__file__).parent / "../../tests/golden/nir"])
