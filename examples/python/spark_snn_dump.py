"""A model of spark-snn with its state, as one safetensors file for `spark import --from spark-snn`.

    python spark_snn_dump.py BRAIN.scfg DUMP.safetensors --input signal=in.npy [--steps N] [--dtype float32]
                             [--record RECORD.safetensors --more M]

Inputs are arrays [time, units...] of numbers, or of 0 and 1 where the port takes spikes. The model does N steps (0: it is
built and no more) and is written down; with --record it then does M more, whose inputs, outputs and spikes are written
as well: what Spark has to do from the dump on.

From a program of your own, for a model in the middle of its life:

    from spark_snn_dump import dump
    dump(model, "dump.safetensors", steps=1000, inputs={"signal": last_signal})

Tensors of a dump are named by the path of attributes, without leading underscores:

    state.PATH       a Variable: potentials, kernels, traces, ring buffers (bits, first unit first), generator keys
    constant.PATH    a Constant: delays, inhibition masks, drawn parameters
    waiting.PATH     what a brain hands on in its next step, MODULE.PORT; spikes as bit 0, inhibition as bit 1
    input.PORT       the last input, in the same form

Metadata: `format`, `version`, `spark_snn`; `model`, the text of the .scfg file; `inputs`, the shape of each input port;
`steps`. Needs spark_snn 1.2 (Python 3.12), numpy and safetensors. Nothing is executed by whoever reads a dump.
"""

import argparse
import json
import lzma

import flax.nnx as nnx
import jax.numpy as jnp
import numpy as np
import spark
from safetensors.numpy import save_file
from spark.core.serializer import SparkJSONDecoder, SparkJSONEncoder


def payload_entries(payload):
    """The numbers of a payload; of spikes their code."""
    return np.asarray(payload._encoding if isinstance(payload, spark.SpikeArray) else payload.value)


def collect(module, path=()):
    """The variables, constants and waiting payloads of a module and of those inside it, by name."""
    tensors = {}
    for attribute, value in vars(module).items():
        place = (*path, attribute.lstrip("_"))
        if isinstance(value, spark.Variable):
            tensors[".".join(("state", *place))] = np.asarray(value.value)
        elif isinstance(value, spark.Constant):
            tensors[".".join(("constant", *place))] = np.asarray(value.value)
        elif attribute == "_cache":
            tensors.update(waiting(value, path))
        elif isinstance(value, nnx.Module):
            tensors.update(collect(value, place))
    return tensors


def waiting(cache, path):
    """What modules of a brain read in the next step."""
    return {
        ".".join(("waiting", *path, origin, port)): payload_entries(payload)
        for (origin, port), payload in cache.items()
        if origin != "__call__"
    }


def dump(model, file, steps, inputs):
    """Writes a model that has been built.

    steps: how many it has done. inputs: the payloads of the last one by port, for their shapes and signs.
    """
    tensors = collect(model)
    shapes = {}
    for port, payload in inputs.items():
        tensors[f"input.{port}"] = payload_entries(payload)
        shapes[port] = {"payload": type(payload).__name__, "shape": list(payload.shape)}
    metadata = {
        "format": "spark-snn-state",
        "version": "1",
        "spark_snn": spark.__version__,
        "model": json.dumps(model.config, cls=SparkJSONEncoder),
        "inputs": json.dumps(shapes),
        "steps": str(steps),
    }
    save_file({name: np.ascontiguousarray(data) for name, data in tensors.items()}, file, metadata)


def read_config(file, dtype=None):
    """The configuration of a .scfg file, with another type for all numbers where one is given."""
    with open(file, "rb") as opened:
        data = opened.read()
    text = lzma.decompress(data) if data.startswith(b"\xfd7zXZ") else data
    tree = json.loads(text)
    if dtype:
        retype(tree, dtype)
    return json.loads(json.dumps(tree), cls=SparkJSONDecoder)


def retype(tree, dtype):
    """Replaces the floating-point types that a configuration names."""
    if isinstance(tree, list):
        for entry in tree:
            retype(entry, dtype)
    elif isinstance(tree, dict):
        if tree.get("__type__") == "dtype" and "float" in tree["name"]:
            tree["name"] = dtype
        for entry in tree.values():
            retype(entry, dtype)


def payloads(model, arrays, step):
    """The inputs of one step."""
    ports = getattr(model, "_controller_input_specs", {})
    given = {}
    for port, array in arrays.items():
        spec = ports.get(port)
        spec = spec["spec"] if isinstance(spec, dict) else spec
        kind = spec.payload_type if spec is not None else spark.FloatArray
        row = jnp.asarray(array[step])
        given[port] = kind(row.astype(bool)) if kind is spark.SpikeArray else kind(row.astype(jnp.float32))
    return given


def record(model, arrays, first, count, file):
    """Runs on and writes what goes in, what comes out and what the modules of a brain spike."""
    rows = {}
    for step in range(first, first + count):
        given = payloads(model, arrays, step)
        outputs = model(**given)
        kept = {f"in.{port}": payload for port, payload in given.items()}
        kept |= {f"out.{port}": payload for port, payload in outputs.items()}
        if hasattr(model, "_cache"):
            cached = ((origin, port, payload) for (origin, port), payload in model._cache.items())
            kept |= {
                f"spikes.{origin}.{port}": payload
                for origin, port, payload in cached
                if isinstance(payload, spark.SpikeArray) and not payload.async_spikes
            }
        for name, payload in kept.items():
            spiking = isinstance(payload, spark.SpikeArray)
            rows.setdefault(name, []).append(np.asarray(payload.spikes if spiking else payload.value))
    stacked = {name: np.stack(entries) for name, entries in rows.items()}
    save_file({name: data.astype(np.uint8) if data.dtype == bool else data for name, data in stacked.items()}, file)
    return stacked


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help=".scfg file")
    parser.add_argument("dump", help="safetensors file to write")
    parser.add_argument("--input", action="append", default=[], metavar="PORT=FILE.npy", help="[time, units...]")
    parser.add_argument("--steps", type=int, default=0, help="steps before the dump")
    parser.add_argument("--dtype", help="compute in float32, say, whatever the file names")
    parser.add_argument("--record", metavar="FILE", help="write down the steps after the dump")
    parser.add_argument("--more", type=int, default=100, help="number of steps to record")
    arguments = parser.parse_args()

    arrays = {port: np.load(file) for port, file in (pair.split("=", 1) for pair in arguments.input)}
    config = read_config(arguments.model, arguments.dtype)
    model = config.class_ref(config=config)
    last = payloads(model, arrays, 0)
    model._build(**last)
    for step in range(arguments.steps):
        last = payloads(model, arrays, step)
        model(**last)
    dump(model, arguments.dump, arguments.steps, last)
    print(f"wrote {arguments.dump}: {type(model).__name__} after {arguments.steps} steps")
    if arguments.record:
        rows = record(model, arrays, arguments.steps, arguments.more, arguments.record)
        spikes = sum(int(data.sum()) for name, data in rows.items() if name.startswith("spikes."))
        print(f"wrote {arguments.record}: {arguments.more} steps, {spikes} spikes")


if __name__ == "__main__":
    main()
