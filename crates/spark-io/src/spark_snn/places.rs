//! Which tensor of a dump is which state of a model.

use burn::tensor::TensorData;
use spark_core::component::Family;
use spark_core::model::{Model, Origin};
use spark_core::registry;
use spark_core::schema::join;
use spark_core::state::Saved;
use std::cell::RefCell;
use std::collections::BTreeSet;

use super::late::{self, Ring};
use super::{Dump, DumpError, floats, standing};

/// What a module of another name calls a state: (module, ours, theirs).
const RENAMED: [(&str, &str, &str); 4] = [
    ("RUShortTermPlasticity", "usage", "u_tracer.trace"),
    ("RUShortTermPlasticity", "resources", "r_tracer.trace"),
    ("BTSPRule", "pair.pre.trace", "pre_window.trace"),
    ("BTSPRule", "pair.post.trace", "post_window.trace"),
];

/// Fills the state of a model from a dump.
pub(super) struct Places<'a> {
    pub dump: &'a Dump,
    /// The model with every default.
    pub model: &'a Model,
    /// The state that it starts with.
    pub blank: &'a Saved,
    /// Tensors that have found their place.
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Places<'a> {
    pub fn new(dump: &'a Dump, model: &'a Model, blank: &'a Saved) -> Self {
        Self { dump, model, blank, used: RefCell::default() }
    }

    /// The state, and notes on what goes on differently.
    pub fn fill(self) -> Result<(Saved, Vec<String>), DumpError> {
        let mut notes = Vec::new();
        let mut state = Saved::new();
        for (path, blank) in self.blank {
            let filled = match path.split_once('>') {
                Some((module, port)) => self.waiting(module, port, blank, &mut state)?,
                None => self.leaf(path, blank, &mut notes)?,
            };
            state.insert(path.clone(), filled);
        }
        self.signs(&mut state)?;
        let used = self.used.into_inner();
        // Keys of its generator mean nothing to another one; what draws says so in a note.
        let left = self.dump.tensors.keys().filter(|name| name.starts_with("state."));
        let mut left = left.filter(|name| !name.ends_with(".rng") && !name.ends_with(".indices"));
        match left.find(|name| !used.contains(*name)) {
            Some(name) => Err(self.dump.wrong(format!("the model has no place for `{name}`"))),
            None => Ok((state, notes)),
        }
    }

    /// A tensor, which has then found its place.
    pub fn take(&self, name: &str) -> Result<&'a TensorData, DumpError> {
        let data = self.dump.need(name)?;
        self.used.borrow_mut().insert(name.to_owned());
        Ok(data)
    }

    /// A state of a module.
    fn leaf(&self, path: &str, blank: &TensorData, notes: &mut Vec<String>) -> Result<TensorData, DumpError> {
        let (module, leaf) = self.split(path);
        let kind =
            standing(self.model, module).map_or(self.model.module.as_str(), |found| &found.spec.module);
        let within = |group: &str, name: &str| format!("{group}.{}", join(module, name));
        if let Some((ring, part)) =
            leaf.rsplit_once('.').filter(|(_, part)| ["history", "newest"].contains(part))
        {
            let slots = self.blank[&join(module, &format!("{ring}.history"))].shape()[0];
            let ring = match ring.strip_suffix(".past") {
                Some(trace) => {
                    Ring { rows: self.late_trace(module, trace, slots)?, newest: self.newest(module, slots)? }
                }
                None => self.ring(module, ring == "signed", slots)?,
            };
            return self.shaped(path, ring.part(part, slots), blank);
        }
        if let Some((trace, past)) = self.past(module, leaf) {
            let row = self.late_trace(module, trace, past)?.into_iter().next();
            return self.shaped(path, row.unwrap_or_default(), blank);
        }
        let theirs = RENAMED.iter().find(|(of, ours, _)| *of == kind && *ours == leaf);
        let theirs = theirs.map_or(leaf, |(_, _, theirs)| theirs);
        match leaf {
            "step" if kind == "PoissonSpiker" || kind == "TopologicalPoissonSpiker" => {
                notes.push(format!("{module}: spikes are drawn by another generator from here on"));
                self.shaped(path, vec![self.dump.steps as f32], blank)
            }
            "spike_counter" if self.dump.get(&within("state", "refractory")).is_some() => {
                self.since_spike(path, module, blank)
            }
            "inhibition_mask" => self.shaped(path, floats(self.take(&within("constant", leaf))?), blank),
            "kernel" => {
                let variable = within("state", leaf);
                let name =
                    if self.dump.get(&variable).is_some() { variable } else { within("constant", leaf) };
                self.shaped(path, floats(self.take(&name)?), blank)
            }
            "post_trace.trace" if blank.shape().len() == 3 && blank.shape()[1] == 2 => {
                self.by_type(path, module, &within("state", leaf), blank)
            }
            _ => self.arranged(path, module, self.take(&within("state", theirs))?, blank),
        }
    }

    /// The name of a trace of late spikes, and for how many steps back it is kept.
    fn past<'p>(&self, module: &str, leaf: &'p str) -> Option<(&'p str, usize)> {
        let trace = leaf.strip_suffix(".trace")?;
        let past = self.blank.get(&join(module, &format!("{trace}.past.history")))?;
        Some((trace, past.shape()[0]))
    }

    /// The path of the innermost module in the path of a state, and what is left.
    fn split<'p>(&self, path: &'p str) -> (&'p str, &'p str) {
        let mut ends = path.match_indices('.').map(|(end, _)| end).collect::<Vec<_>>();
        ends.reverse();
        let end = ends.into_iter().find(|end| standing(self.model, &path[..*end]).is_some());
        end.map_or(("", path), |end| (&path[..end], &path[end + 1..]))
    }

    /// Entries in the type and shape that the model has.
    fn shaped(&self, path: &str, values: Vec<f32>, blank: &TensorData) -> Result<TensorData, DumpError> {
        let (found, expected) = (values.len(), blank.num_elements());
        if found != expected {
            return Err(self.dump.wrong(format!("`{path}`: found {found} entries, expected {expected}")));
        }
        Ok(TensorData::new(values, blank.shape().clone()).convert_dtype(blank.dtype()))
    }

    /// The same of a tensor that may be by synapse, `[post…, pre…]` there and `[pre, post]` here.
    fn arranged(
        &self,
        path: &str,
        module: &str,
        data: &TensorData,
        blank: &TensorData,
    ) -> Result<TensorData, DumpError> {
        let values = floats(data);
        let shape = blank.shape();
        let rank = shape.len();
        let kernel = self.blank.get(&join(module, "kernel")).map(|kernel| kernel.shape());
        let [pre, post] = match kernel {
            Some(kernel) if kernel.len() == 2 && kernel[0] * kernel[1] == values.len() => {
                [kernel[1], kernel[0]]
            }
            _ if rank > 1 => [shape[rank - 2], shape[rank - 1]],
            _ => [1, 1],
        };
        let turned = values.len() == pre * post && pre > 1 && post > 1;
        let values = match turned {
            true => (0..pre * post).map(|place| values[place % post * pre + place / post]).collect(),
            false => values,
        };
        self.shaped(path, values, blank)
    }

    /// Steps since the last spike of a linear spiker, there in ms and without an end.
    fn since_spike(&self, path: &str, module: &str, blank: &TensorData) -> Result<TensorData, DumpError> {
        let name = |group: &str, leaf: &str| format!("{group}.{}", join(module, leaf));
        let ready = floats(self.take(&name("constant", "cooldown"))?);
        let since = floats(self.take(&name("state", "refractory"))?);
        let spec = standing(self.model, module).map_or(&self.model.config, |found| &found.spec.config);
        let dt = spec.fields.get("dt").and_then(serde_json::Value::as_f64).unwrap_or(1.0) as f32;
        // A model that has not begun is ready.
        let most = floats(blank);
        let steps = since.iter().zip(ready.iter().cycle()).zip(most.iter().cycle());
        let steps = steps.map(
            |((since, ready), most)| {
                if since >= ready { *most } else { (since / dt).round().min(*most) }
            },
        );
        self.shaped(path, steps.collect(), blank)
    }

    /// Traces of postsynaptic units for excitatory and for inhibitory presynaptic ones, there by synapse.
    fn by_type(
        &self,
        path: &str,
        module: &str,
        name: &str,
        blank: &TensorData,
    ) -> Result<TensorData, DumpError> {
        let traces = floats(self.take(name)?);
        let types = floats(self.take(&format!("constant.{}", join(module, "synaptic_mask")))?);
        let post = blank.shape()[2];
        if traces.len() == post {
            return self.shaped(path, [traces.clone(), traces].concat(), blank);
        }
        if traces.len() != types.len() || !traces.len().is_multiple_of(post) {
            return Err(self.dump.wrong(format!(
                "`{name}`: found {} entries for {} synapses",
                traces.len(),
                types.len()
            )));
        }
        let pre = traces.len() / post;
        let of = |inhibits: bool, unit: usize| {
            let mut synapses = unit * pre..(unit + 1) * pre;
            // Where no unit is of that type nobody reads the trace.
            synapses.find(|place| (types[*place] % 2.0 == 1.0) == inhibits).map_or(0.0, |place| traces[place])
        };
        let values =
            [false, true].into_iter().flat_map(|inhibits| (0..post).map(move |unit| (inhibits, unit)));
        self.shaped(path, values.map(|(inhibits, unit)| of(inhibits, unit)).collect(), blank)
    }

    /// What a module of a brain hands on in the next step.
    fn waiting(
        &self,
        module: &str,
        port: &str,
        blank: &TensorData,
        state: &mut Saved,
    ) -> Result<TensorData, DumpError> {
        let path = format!("{module}>{port}");
        let (port, part) = port.split_once('>').map_or((port, ""), |(port, part)| (port, part));
        let name = format!("waiting.{}", join(module, port));
        if self.blank.contains_key(&format!("{module}>{port}>delays")) && part != "inhibitory" {
            // Late spikes are handed on as the ring of the delays themselves.
            let of = |leaf: &str| self.leaf(&join(module, leaf), blank, &mut Vec::new());
            return match part {
                "newest" => of("spikes.newest"),
                "signed" => of("signed.history"),
                "delays" => {
                    let kernel = self.take(&format!("constant.{}", join(module, "kernel")))?;
                    self.arranged(&path, module, kernel, blank)
                }
                _ => of("spikes.history"),
            };
        }
        let code = self.dump.need(&name)?;
        let values = match (part, code.dtype()) {
            ("inhibitory", _) => return self.shaped(&path, inhibiting(code, blank.num_elements()), blank),
            (_, burn::tensor::DType::U8) => code.iter::<i64>().map(|code| (code & 1) as f32).collect(),
            _ => floats(code),
        };
        let filled = self.shaped(&path, values, blank)?;
        let inhibiting: Vec<f32> = match code.dtype() {
            burn::tensor::DType::U8 => inhibiting(code, code.num_elements()),
            _ => Vec::new(),
        };
        if inhibiting.contains(&1.0) {
            let length = inhibiting.len();
            state.insert(format!("{path}>inhibitory"), TensorData::new(inhibiting, [length]));
        }
        Ok(filled)
    }

    /// Which units inhibit, of those whose spikes come to a port of a module.
    pub fn inhibitory(&self, module: &str, port: &str) -> Result<Vec<f32>, DumpError> {
        let Some(found) = standing(self.model, module) else {
            let code = self.dump.need(&format!("input.{port}"))?;
            return Ok(inhibiting(code, code.num_elements()));
        };
        let wires = found.spec.inputs.get(port);
        let wires =
            wires.ok_or_else(|| self.dump.wrong(format!("`{module}`: nothing is wired to `{port}`")))?;
        let mut units = Vec::new();
        for wire in wires {
            let own = || self.dump.need(&format!("constant.{}", join(found.controller, "inhibition_mask")));
            units.extend(match &wire.origin {
                Origin::Call => self.inhibitory(found.controller, &wire.port)?,
                Origin::Own => floats(own()?),
                Origin::Module(origin) => {
                    let sent = join(&join(found.controller, origin), &wire.port);
                    match self.dump.get(&format!("waiting.{sent}")) {
                        Some(code) => inhibiting(code, code.num_elements()),
                        None => floats(own()?),
                    }
                }
            });
        }
        Ok(units)
    }

    /// Adds which units inhibit to late spikes that wait between the modules of a brain.
    fn signs(&self, state: &mut Saved) -> Result<(), DumpError> {
        let delayed = self.blank.keys().filter_map(|path| path.strip_suffix(">delays"));
        for path in delayed {
            let (module, _) = path.split_once('>').unwrap_or((path, ""));
            let units = self.inhibitory(module, late::PORT)?;
            if units.contains(&1.0) {
                let length = units.len();
                state.insert(format!("{path}>inhibitory"), TensorData::new(units, [length]));
            }
        }
        Ok(())
    }

    /// Whether a controller steps its modules one behind the other within a step.
    pub fn is_neuron(&self, controller: &str) -> bool {
        let kind =
            standing(self.model, controller).map_or(self.model.module.as_str(), |found| &found.spec.module);
        registry::find(kind).is_ok_and(|(registration, _)| registration.family == Family::Neuron)
    }
}

/// Bit 1 of coded spikes, one for each of the last `units` entries.
fn inhibiting(code: &TensorData, units: usize) -> Vec<f32> {
    match code.dtype() {
        burn::tensor::DType::U8 => {
            code.iter::<i64>().map(|code| (code >> 1 & 1) as f32).take(units).collect()
        }
        _ => vec![0.0; units],
    }
}
