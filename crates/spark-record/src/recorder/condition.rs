//! Conditions of triggers, as they are watched.

use burn::tensor::Tensor;
use spark_core::Problems;
use spark_core::component::Instance;
use spark_core::look::{Look, Place, Sight};
use std::collections::VecDeque;

use super::expression::{Condition, Expression, Function, Now, Quantity};
use super::probe::nearest;
use super::seen::Seen;

/// A condition with what it looks at in a model.
#[derive(Debug)]
pub(super) struct Watch {
    expression: Expression,
    gauges: Vec<Gauge>,
    values: Vec<f64>,
    here: bool,
}

/// A quantity that is followed.
#[derive(Debug)]
struct Gauge {
    quantity: Quantity,
    place: Place,
    /// Its values of the last steps, where it is averaged, and their sum.
    recent: VecDeque<f64>,
    sum: f64,
}

impl Watch {
    /// `None` where something that it looks at is not there.
    pub fn new(
        condition: Condition,
        instance: &mut dyn Instance,
        sights: &[Sight],
        here: bool,
        dt: f64,
        measurement: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = format!("{measurement}.trigger.expression");
        let mut gauges = Vec::new();
        for mut quantity in condition.quantities {
            let sight = sights.iter().find(|sight| sight.address == quantity.address);
            let Some((sight, place)) = sight.zip(instance.find(&quantity.address)) else {
                problems.push(&path, format!("`{}`", quantity.address), nearest(&quantity.address, sights));
                return None;
            };
            let units = sight.shape.iter().product::<usize>();
            if let Function::Unit(unit) = quantity.function
                && unit >= units
            {
                problems.push(
                    &path,
                    format!("{}[{unit}]", quantity.address),
                    format!("a unit below {units}"),
                );
                return None;
            }
            // No more than a run could ever fill.
            quantity.steps = quantity.steps.min((1e7 / dt.max(1e-6)) as usize).max(1);
            gauges.push(Gauge { quantity, place, recent: VecDeque::new(), sum: 0.0 });
        }
        let values = vec![0.0; gauges.len()];
        Some(Self { expression: condition.expression, gauges, values, here })
    }

    /// Whether it holds after a step.
    pub fn holds(
        &mut self,
        instance: &dyn Instance,
        step: u64,
        dt: f64,
        tag: &dyn Fn(&str) -> Option<f64>,
    ) -> bool {
        for (gauge, value) in self.gauges.iter_mut().zip(&mut self.values) {
            let here = self.here;
            let mut now = f64::NAN;
            instance.look(&gauge.place, &mut |look: Look<'_>| {
                if let Some(seen) = Seen::of(look, here) {
                    now = reduced(gauge.quantity.function, seen, dt);
                }
            });
            *value = gauge.averaged(now);
        }
        let now = Now { step, time: step as f64 * dt, tag, quantities: &self.values };
        self.expression.value(&now) == 1.0
    }
}

impl Gauge {
    fn averaged(&mut self, now: f64) -> f64 {
        if self.quantity.steps == 1 {
            return now;
        }
        self.recent.push_back(now);
        self.sum += now;
        if self.recent.len() > self.quantity.steps {
            self.sum -= self.recent.pop_front().unwrap_or_default();
        }
        self.sum / self.recent.len() as f64
    }
}

/// The number that a function makes of values by unit.
fn reduced(function: Function, seen: Seen<'_>, dt: f64) -> f64 {
    match seen {
        Seen::Spikes(spikes) => {
            let (count, units) = (spikes.count() as f64, spikes.units().max(1) as f64);
            let mean = count / units;
            match function {
                Function::Mean | Function::Active => mean,
                Function::Rate => 1000.0 * mean / dt,
                Function::Sum => count,
                Function::Min => f64::from(u8::from(count == units)),
                Function::Max => f64::from(u8::from(count > 0.0)),
                Function::Std => (mean * (1.0 - mean)).sqrt(),
                Function::Unit(unit) => {
                    f64::from(u8::from(spikes.active().binary_search(&(unit as u32)).is_ok()))
                }
            }
        }
        Seen::Values(values) => of_values(function, &values, dt),
        Seen::Device(values) => on_device(function, values, dt),
    }
}

fn of_values(function: Function, values: &[f32], dt: f64) -> f64 {
    let units = values.len().max(1) as f64;
    let sum = || values.iter().map(|value| f64::from(*value)).sum::<f64>();
    match function {
        Function::Mean => sum() / units,
        Function::Sum => sum(),
        Function::Rate => 1000.0 * sum() / units / dt,
        Function::Active => values.iter().filter(|value| **value != 0.0).count() as f64 / units,
        Function::Min => f64::from(values.iter().copied().fold(f32::INFINITY, f32::min)),
        Function::Max => f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        Function::Std => {
            let mean = sum() / units;
            let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
            (squares / units).sqrt()
        }
        Function::Unit(unit) => f64::from(values[unit]),
    }
}

/// Reduced where the values are: one number travels.
fn on_device(function: Function, values: Tensor<1>, dt: f64) -> f64 {
    let number = |tensor: Tensor<1>| f64::from(tensor.into_scalar::<f32>());
    match function {
        Function::Mean => number(values.mean()),
        Function::Sum => number(values.sum()),
        Function::Rate => 1000.0 * number(values.mean()) / dt,
        Function::Active => number(values.not_equal_scalar(0.0).float().mean()),
        Function::Min => number(values.min()),
        Function::Max => number(values.max()),
        Function::Std => {
            let mean = values.clone().mean();
            number((values - mean).powi_scalar(2).mean().sqrt())
        }
        Function::Unit(unit) => number(values.narrow(0, unit, 1)),
    }
}
