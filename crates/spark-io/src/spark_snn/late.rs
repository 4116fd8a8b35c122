//! Spikes that are on their way, and the traces that they leave when they arrive.

use spark_core::model::Origin;
use spark_core::schema::join;

use super::places::Places;
use super::{DumpError, floats, standing};

/// The port of delays that takes spikes.
pub(super) const PORT: &str = "in_spikes";

/// What units showed in the last steps, this one first, and the slot of a ring where this one stands.
pub(super) struct Ring {
    pub rows: Vec<Vec<f32>>,
    pub newest: usize,
}

impl Ring {
    /// `history`, `[slots, 1, units]`, or `newest`.
    pub fn part(self, part: &str, slots: usize) -> Vec<f32> {
        if part == "newest" {
            return vec![self.newest as f32];
        }
        let units = self.rows.first().map_or(0, Vec::len);
        let mut history = vec![0.0; slots * units];
        for (back, row) in self.rows.iter().enumerate().take(slots) {
            let slot = (self.newest + slots - back) % slots;
            history[slot * units..][..units].copy_from_slice(row);
        }
        history
    }
}

impl Places<'_> {
    /// The spikes that came to delays, with the signs of those that sent them if asked for.
    ///
    /// There: a row of bits for each step, the first unit in the highest bit of the first byte, and the row that
    /// is written next.
    pub fn ring(&self, delays: &str, signed: bool, slots: usize) -> Result<Ring, DumpError> {
        let name = |leaf: &str| format!("state.{}", join(delays, leaf));
        let bits = self.take(&name("bitmask"))?;
        let next: i64 = self.take(&name("current_idx"))?.iter().next().unwrap_or_default();
        let [rows, bytes] = bits.shape()[..] else {
            return Err(self.dump.wrong(format!(
                "`{}`: found shape {:?}, expected rows of bytes",
                name("bitmask"),
                bits.shape().to_vec()
            )));
        };
        let longest = floats(self.dump.need(&format!("constant.{}", join(delays, "kernel")))?);
        let longest = longest.into_iter().fold(0.0, f32::max) as usize;
        if longest >= rows.min(slots) {
            return Err(self.dump.wrong(format!(
                "`{delays}`: a delay of {longest} steps in a buffer of {rows} arrives at once, as spark-snn 1.0 had it: \
                 write the dump with spark_snn 1.2"
            )));
        }
        let signs = self.inhibitory(delays, PORT)?;
        if signs.len() > bytes * 8 {
            return Err(self
                .dump
                .wrong(format!("`{delays}`: {bytes} bytes of spikes for {} units", signs.len())));
        }
        let bits: Vec<i64> = bits.iter().collect();
        let row = |back: usize| {
            let row = (next - 1 - back as i64).rem_euclid(rows as i64) as usize;
            let spike = |unit: usize| (bits[row * bytes + unit / 8] >> (7 - unit % 8) & 1) as f32;
            let sign = |unit: usize| if signed { 1.0 - 2.0 * signs[unit] } else { 1.0 };
            (0..signs.len()).map(|unit| spike(unit) * sign(unit)).collect()
        };
        let newest = (next - 1).rem_euclid(rows as i64) as usize;
        Ok(Ring { rows: (0..rows.min(slots)).map(row).collect(), newest: newest % slots })
    }

    /// The delays that a rule hears through.
    fn delays_of(&self, rule: &str) -> Result<String, DumpError> {
        let wrong = || {
            self.dump.wrong(format!(
                "`{rule}`: its late spikes do not come from delays of the neuron that it is in"
            ))
        };
        let found = standing(self.model, rule).ok_or_else(wrong)?;
        match found.spec.inputs.get("pre_spikes").map(Vec::as_slice) {
            Some([wire]) if self.is_neuron(found.controller) => match &wire.origin {
                Origin::Module(delays) => Ok(join(found.controller, delays)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    /// The slot where the last step of what a rule hears stands.
    pub fn newest(&self, rule: &str, slots: usize) -> Result<usize, DumpError> {
        Ok(self.ring(&self.delays_of(rule)?, false, slots)?.newest)
    }

    /// A trace of presynaptic spikes as they were sent, in this step and those before.
    ///
    /// There: `x_ij(t) = T_j(t − d_ij)`, one for each synapse. The synapse of a unit with the longest delay says
    /// what its trace was then; the spikes since, which the delays still hold, say what it became. What lies
    /// further back nobody reads any more.
    pub fn late_trace(&self, rule: &str, trace: &str, slots: usize) -> Result<Vec<Vec<f32>>, DumpError> {
        let path = join(rule, trace);
        let name = format!("state.{path}.trace");
        let shown = floats(self.take(&name)?);
        let delays = self.delays_of(rule)?;
        let steps = floats(self.dump.need(&format!("constant.{}", join(&delays, "kernel")))?);
        let spikes = self.ring(&delays, false, slots)?.rows;
        let pre = spikes.first().map_or(0, Vec::len);
        if pre == 0 || shown.len() != steps.len() || !shown.len().is_multiple_of(pre) {
            let message =
                format!("`{name}`: found {} entries for {} delays of {pre} units", shown.len(), steps.len());
            return Err(self.dump.wrong(message));
        }
        let of_unit = |constant: &str| {
            let name = format!("constant.{path}.{constant}");
            let values = floats(self.dump.need(&name)?);
            match values.len() {
                1 => Ok(vec![values[0]; pre]),
                found if found == pre => Ok(values),
                found => {
                    Err(self.dump.wrong(format!("`{name}`: found {found} entries, expected 1 or {pre}")))
                }
            }
        };
        let (rate, scale) = (of_unit("decay_rate")?, of_unit("scale")?);
        let mut rows = vec![vec![0.0; pre]; slots];
        for unit in 0..pre {
            let synapses = (unit..shown.len()).step_by(pre);
            let Some(last) = synapses.max_by(|a, b| steps[*a].total_cmp(&steps[*b])) else { continue };
            let (mut value, since) = (shown[last], steps[last] as usize);
            for back in (0..=since).rev() {
                if back < since {
                    value = value + rate[unit] * -value + scale[unit] * spikes[back][unit];
                }
                rows[back][unit] = value;
            }
        }
        Ok(rows)
    }
}
