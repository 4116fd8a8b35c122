//! How the brain sees the cart, acts and learns.

use anyhow::{Context as _, Result, bail};
use spark::burn::tensor::{Tensor, TensorData};
use spark::core::component::{Context, Instance};
use spark::core::model::Model;
use spark::core::payload::{Floats, Payload};
use spark::core::ports::PortValues;
use spark::prelude::Device;
use std::path::Path;

use crate::physics::{CartPole, LONGEST, Push};
use crate::recording::Recording;

/// Steps of the brain for each step of the cart, before an episode and after a fall.
const STEPS: u32 = 50;
/// What is divided by to bring position, velocity, angle and angular velocity into ±1.
const SCALES: [f64; 4] = [2.4, 2.5, 0.2095, 3.5];
/// Third factor while the pole stands.
const DRIFT: f32 = -1e-4;
/// Third factor after a fall, for the pool that should have acted less; the other gets a tenth with the
/// opposite sign.
const PUNISHMENT: f32 = -25.0;
const CONSOLATION: f32 = -0.1;
/// How much less inhibitory pools learn.
const INHIBITORY: f32 = 0.25;
/// Share of the newest episode in the running mean.
const NEWEST: f32 = 0.2;
/// A pole closer to upright than this did not fall when the cart left the track.
const UPRIGHT: f32 = 0.05;

/// What the brain sees: position, velocity, angle and angular velocity in ±1.
pub type View = [f32; 4];

/// The third factors of the sides that push to the left and to the right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Modulation {
    pub left: f32,
    pub right: f32,
}

impl Modulation {
    fn both(value: f32) -> Self {
        Self { left: value, right: value }
    }

    fn times(self, factor: f32) -> Self {
        Self { left: self.left * factor, right: self.right * factor }
    }
}

/// What the brain sees of the cart.
pub fn view(cart: &CartPole) -> View {
    let values = [cart.position, cart.velocity, cart.angle, cart.angular_velocity];
    std::array::from_fn(|i| (values[i] / SCALES[i]).clamp(-1.0, 1.0) as f32)
}

/// What a fall teaches: the side that the cart should have been pushed to is encouraged, the other one
/// punished.
///
/// * `end`: what was seen after the fall.
/// * `eagerness`: how much there is left to learn, 0 to 1.
pub fn lesson(end: &View, eagerness: f32) -> Modulation {
    let [position, _, angle, _] = *end;
    let left_the_track = position.abs() >= 1.0 && angle.abs() < UPRIGHT;
    let right = if left_the_track { position < 0.0 } else { angle > 0.0 };
    let punishment = PUNISHMENT * eagerness;
    let consolation = CONSOLATION * punishment;
    match right {
        true => Modulation { left: punishment, right: consolation },
        false => Modulation { left: consolation, right: punishment },
    }
}

/// A brain at the cart.
pub struct Player {
    brain: Box<dyn Instance>,
    device: Device,
    /// How fast the brain calms down as it succeeds.
    calm: f32,
    /// Running mean of the steps that episodes lasted.
    pub ema: f32,
    /// Steps of the brain so far.
    pub steps: u64,
    /// Episodes begun.
    episodes: i64,
    recording: Option<Recording>,
}

impl Player {
    /// A brain as the model describes it; it learns with a third factor in proportion to
    /// `(1 − mean/500)^calm`.
    pub fn new(model: &Model, calm: f32, device: &Device) -> Result<Self> {
        let inputs = model.declared_inputs().context("the model cannot be built")?;
        let brain =
            model.build(&inputs, 1, &Context::new("", device)).context("the model cannot be built")?;
        Ok(Self { brain, device: device.clone(), calm, ema: 0.0, steps: 0, episodes: 0, recording: None })
    }

    /// The brain itself.
    pub fn brain(&mut self) -> &mut dyn Instance {
        self.brain.as_mut()
    }

    /// From now on what happens inside is recorded into a folder.
    pub fn record(&mut self, folder: &Path, overwrite: bool, model: &Model, seed: u64) -> Result<()> {
        let (brain, device) = (self.brain.as_mut(), &self.device);
        self.recording = Some(Recording::begin(folder, overwrite, model, seed, brain, device)?);
        Ok(())
    }

    /// Ends the recording, if there is one.
    pub fn finish(&mut self) -> Result<()> {
        self.recording.take().map_or(Ok(()), |recording| recording.finish(self.brain.as_ref()))
    }

    /// How much there is left to learn.
    fn eagerness(&self) -> f32 {
        (1.0 - self.ema / LONGEST as f32).max(0.0).powf(self.calm)
    }

    /// One episode from a start; returns the steps that the pole stood. The brain goes on from the state that
    /// it is in.
    pub fn episode(&mut self, start: CartPole, learning: bool) -> Result<u32> {
        let eagerness = if learning { self.eagerness() } else { 0.0 };
        self.episodes += 1;
        if let Some(recording) = &mut self.recording {
            recording.episode(self.episodes, self.steps)?;
        }
        self.watch([0.0; 4], |_| Modulation::default())?;
        let (mut cart, mut seen, mut lasted) = (start, view(&start), 0);
        while lasted < LONGEST && !cart.is_over() {
            seen = view(&cart);
            let push = self.watch(seen, |_| Modulation::both(DRIFT * eagerness))?;
            cart = cart.step(push);
            lasted += 1;
        }
        if cart.is_over() && learning {
            let lesson = lesson(&view(&cart), eagerness);
            self.recording.iter_mut().for_each(|recording| recording.fallen(true));
            self.watch(seen, |step| lesson.times((-2.0 * step as f32).exp()))?;
            self.recording.iter_mut().for_each(|recording| recording.fallen(false));
        }
        if learning {
            self.ema = (1.0 - NEWEST) * self.ema + NEWEST * lasted as f32;
        }
        if let Some(recording) = &self.recording {
            recording.lasted(lasted, self.ema, self.steps)?;
        }
        Ok(lasted)
    }

    /// Shows the brain one view, under a third factor for every step; returns the push that it prefers at
    /// the end.
    fn watch(&mut self, view: View, modulation: impl Fn(u32) -> Modulation) -> Result<Push> {
        let signal = self.row(&view);
        let mut fed = None;
        let mut ports = Vec::new();
        let mut outputs = PortValues::default();
        for step in 0..STEPS {
            let modulation = modulation(step);
            if fed != Some(modulation) {
                let Modulation { left, right } = modulation;
                let rows = [("mod_a_ex", left), ("mod_b_ex", right)].into_iter();
                let inhibitory = [("mod_a_in", INHIBITORY * left), ("mod_b_in", INHIBITORY * right)];
                ports = rows.chain(inhibitory).map(|(port, value)| (port, self.row(&[value]))).collect();
                fed = Some(modulation);
            }
            let mut inputs = PortValues::default();
            inputs.put("signal", signal.clone());
            for (port, row) in &ports {
                inputs.put(*port, row.clone());
            }
            outputs = self.brain.step(inputs)?;
            self.steps += 1;
            if let Some(recording) = &mut self.recording {
                recording.step(self.brain.as_ref())?;
            }
        }
        let Some(Payload::Floats(Floats(action))) = outputs.get("action").cloned() else {
            bail!("the brain has no output `action` of floats");
        };
        match action.into_data().iter::<f32>().collect::<Vec<_>>()[..] {
            [left, right] => Ok(if right > left { Push::Right } else { Push::Left }),
            ref values => bail!("output `action`: found {} values, expected 2", values.len()),
        }
    }

    fn row(&self, values: &[f32]) -> Floats {
        Floats(Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_scaled_and_clipped() {
        let cart = CartPole { position: -1.2, velocity: 5.0, angle: 0.2095, angular_velocity: -0.35 };
        assert_eq!(view(&cart), [-0.5, 1.0, 1.0, -0.1]);
    }

    #[test]
    fn who_should_have_pushed_less_is_punished() {
        let to_the_right = lesson(&[0.1, 0.0, 0.9, 0.2], 0.5);
        assert_eq!(to_the_right, Modulation { left: -12.5, right: 1.25 });
        let to_the_left = lesson(&[0.1, 0.0, -0.9, 0.2], 1.0);
        assert_eq!(to_the_left, Modulation { left: 2.5, right: -25.0 });
    }

    /// A cart that leaves the track with its pole upright should have turned back; with a tilted pole, it
    /// should have caught it.
    #[test]
    fn at_the_end_of_the_track_the_angle_decides_only_where_there_is_one() {
        assert!(lesson(&[1.0, 0.0, 0.04, 0.0], 1.0).right < 0.0);
        assert!(lesson(&[-1.0, 0.0, -0.04, 0.0], 1.0).left < 0.0);
        assert!(lesson(&[1.0, 0.0, 0.06, 0.0], 1.0).left < 0.0);
    }
}
