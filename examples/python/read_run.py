"""Reads what a run of Spark recorded, with nothing but numpy, sqlite3 and safetensors.

    python read_run.py RUN [MEASUREMENT]

Prints what is in the folder of a run and checks it: every window has the rows that the index says it has, and the spikes
that numpy unpacks are the bits of the bytes. docs/runs.md describes the layout.
"""

import json
import pathlib
import sqlite3
import sys

import numpy as np
from safetensors import safe_open

FORMAT = 1


class Run:
    """The folder of a run, finished or under way."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.record = json.loads((self.folder / "run.json").read_text())
        if self.record["format"] > FORMAT:
            raise ValueError(f"a run of format {self.record['format']}, this script knows formats up to {FORMAT}")
        # Read only: a writer that is at work is not held up.
        self.index = sqlite3.connect((self.folder / "index.sqlite").resolve().as_uri() + "?mode=ro", uri=True)

    def scalar_names(self):
        return [name for name, in self.index.execute("SELECT DISTINCT name FROM scalars ORDER BY name")]

    def scalars(self, name):
        """Steps and values; a value that is no number is NULL in the index and nan here."""
        rows = self.index.execute("SELECT step, value FROM scalars WHERE name = ? ORDER BY step, rowid", (name,))
        steps, values = [], []
        for step, value in rows:
            steps.append(step)
            values.append(np.nan if value is None else value)
        return np.array(steps, dtype=np.int64), np.array(values)

    def events(self):
        rows = self.index.execute("SELECT step, kind, detail FROM events ORDER BY rowid")
        return [(step, kind, json.loads(detail)) for step, kind, detail in rows]

    def measurements(self):
        """The streams of each measurement, by name."""
        found = {}
        rows = self.index.execute("SELECT measurement, name, description FROM streams ORDER BY measurement, place")
        for measurement, name, description in rows:
            found.setdefault(measurement, {})[name] = json.loads(description)
        return found

    def windows(self, measurement):
        """File, first and last step of each window, in the order of steps."""
        query = "SELECT file, first, last, rows FROM windows WHERE measurement = ? ORDER BY first, file"
        return self.index.execute(query, (measurement,)).fetchall()

    def recording(self, measurement, stream):
        """Steps [rows] and data [rows, ...] of a stream, from all windows; those that overlap share steps."""
        steps, data, last = [], [], -1
        for file, _, _, _ in self.windows(measurement):
            with safe_open(self.folder / "windows" / file, framework="numpy") as window:
                if stream not in window.keys():
                    continue
                new = window.get_tensor(f"{stream}/steps")
                rows = window.get_tensor(stream)
            kept = new > last
            steps.append(new[kept])
            data.append(rows[kept])
            if len(new):
                last = max(last, int(new[-1]))
        if not steps:
            raise KeyError(f"no window of {measurement} has {stream}")
        return np.concatenate(steps), np.concatenate(data)

    def spikes(self, measurement, stream):
        """Steps [rows] and spikes [rows, units] of a raster: unit 8 i + j is bit j of byte i."""
        units = kept_units(self.measurements()[measurement][stream])
        steps, rows = self.recording(measurement, stream)
        return steps, np.unpackbits(rows, axis=1, count=units, bitorder="little").astype(bool)


def kept_units(stream):
    return len(stream["units"]) if "units" in stream else int(np.prod(stream["shape"], dtype=np.int64))


def row_shape(stream):
    match stream["kind"]:
        case "trace":
            return (kept_units(stream),)
        case "raster":
            return (-(-kept_units(stream) // 8),)
        case "summary":
            return (len(stream["groups"]), len(stream["statistics"]))
        case _:
            return tuple(stream["shape"])


def check(run, measurement, name, stream):
    """What a stream holds, after comparing it with what the index says of it."""
    steps, rows = run.recording(measurement, name)
    assert rows.shape == (len(steps), *row_shape(stream)), (rows.shape, row_shape(stream))
    assert rows.dtype == (np.uint8 if stream["kind"] == "raster" else np.float32), rows.dtype
    assert np.all(np.diff(steps) > 0), "steps increase"
    if stream["kind"] != "raster":
        if not rows.size:
            return f"{len(rows)} rows"
        return f"{len(rows)} rows, mean {np.nanmean(rows):.4g} {stream.get('unit', '')}".rstrip()
    _, spikes = run.spikes(measurement, name)
    for unit in range(spikes.shape[1]):
        assert np.array_equal(spikes[:, unit], rows[:, unit // 8] >> (unit % 8) & 1 == 1), unit
    # Bits behind the last unit are not spikes.
    assert np.bitwise_count(rows).sum() == spikes.sum()
    return f"{len(rows)} rows, {int(spikes.sum())} spikes of {spikes.shape[1]} units"


def main(folder, only=None):
    run = Run(folder)
    record = run.record
    print(f"{run.folder}: {record['kind']}, {record['status']}, seed {record['seed']}, created {record['created']}")
    for name in run.scalar_names():
        steps, values = run.scalars(name)
        print(f"  scalar {name}: {len(values)} values, last {values[-1]:.6g} at step {steps[-1]}")
    for step, kind, detail in run.events():
        print(f"  event {kind} at step {step}: {json.dumps(detail)}")
    for measurement, streams in run.measurements().items():
        if only not in (None, measurement):
            continue
        windows = run.windows(measurement)
        for file, first, last, rows in windows:
            with safe_open(run.folder / "windows" / file, framework="numpy") as window:
                metadata = window.metadata()
                counts = [window.get_slice(key).get_shape()[0] for key in window.keys() if key.endswith("/steps")]
            assert (int(metadata["first"]), int(metadata["last"])) == (first, last), file
            assert max(counts, default=0) == rows, file
        print(f"  measurement {measurement}: {len(windows)} windows")
        for name, stream in streams.items():
            print(f"    {name} ({stream['kind']}): {check(run, measurement, name, stream)}")
    print("checked")


if __name__ == "__main__":
    main(*sys.argv[1:])
