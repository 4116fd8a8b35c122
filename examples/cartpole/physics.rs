//! A pole on a cart, as in CartPole-v1.

use spark::kernels::philox::{Stream, uniform};

/// Gravity in m/s².
const GRAVITY: f64 = 9.8;
/// Mass of the pole in kg.
const POLE: f64 = 0.1;
/// Mass of cart and pole in kg.
const TOTAL: f64 = 1.0 + POLE;
/// Half the length of the pole in m.
const HALF_LENGTH: f64 = 0.5;
/// Force of a push in N.
const FORCE: f64 = 10.0;
/// Duration of a step in s.
const DT: f64 = 0.02;
/// Where the track ends, in m from its middle.
const TRACK: f64 = 2.4;
/// The angle at which the pole counts as fallen, in rad.
const FALLEN: f64 = 12.0 * std::f64::consts::PI / 180.0;
/// Every quantity starts within this distance of 0.
const SPREAD: f64 = 0.05;

/// An episode that lasts this long ends as a success.
pub const LONGEST: u32 = 500;

/// Where to push the cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    Left,
    Right,
}

/// Cart and pole. Equations of Barto, Sutton & Anderson, *Neuronlike adaptive elements that can solve
/// difficult learning control problems* (1983), without friction, by Euler's method.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CartPole {
    /// Position of the cart in m.
    pub position: f64,
    /// Its velocity in m/s.
    pub velocity: f64,
    /// Angle of the pole from upright in rad, positive to the right.
    pub angle: f64,
    /// Its angular velocity in rad/s.
    pub angular_velocity: f64,
}

impl CartPole {
    /// The start of an episode: everything uniform in ±0.05, a function of the arguments only.
    pub fn start(seed: u64, series: u32, episode: u32) -> Self {
        let words = Stream::new(seed, series, u64::from(episode)).words(0);
        let [position, velocity, angle, angular_velocity] =
            words.map(|word| 2.0 * SPREAD * (f64::from(uniform(word)) - 0.5));
        Self { position, velocity, angle, angular_velocity }
    }

    /// 0.02 s later.
    #[must_use]
    pub fn step(self, push: Push) -> Self {
        let force = if push == Push::Right { FORCE } else { -FORCE };
        let (sin, cos) = self.angle.sin_cos();
        let thrust = (force + POLE * HALF_LENGTH * self.angular_velocity.powi(2) * sin) / TOTAL;
        let inertia = HALF_LENGTH * (4.0 / 3.0 - POLE * cos * cos / TOTAL);
        let angular_acceleration = (GRAVITY * sin - cos * thrust) / inertia;
        let acceleration = thrust - POLE * HALF_LENGTH * angular_acceleration * cos / TOTAL;
        Self {
            position: self.position + DT * self.velocity,
            velocity: self.velocity + DT * acceleration,
            angle: self.angle + DT * self.angular_velocity,
            angular_velocity: self.angular_velocity + DT * angular_acceleration,
        }
    }

    /// Whether the cart has left the track or the pole has fallen.
    pub fn is_over(&self) -> bool {
        self.position.abs() > TRACK || self.angle.abs() > FALLEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At rest and upright, sines vanish: with `F/M = 100/11`, angle and cart accelerate by `−600/41` and
    /// `400/41`.
    #[test]
    fn a_push_at_rest_gives_the_closed_form() {
        let right = CartPole::default().step(Push::Right);
        assert_eq!((right.position, right.angle), (0.0, 0.0));
        assert!((right.velocity - 8.0 / 41.0).abs() < 1e-12, "{right:?}");
        assert!((right.angular_velocity + 12.0 / 41.0).abs() < 1e-12, "{right:?}");
        let left = CartPole::default().step(Push::Left);
        assert_eq!(
            left,
            CartPole { velocity: -right.velocity, angular_velocity: -right.angular_velocity, ..left }
        );
    }

    /// The energy of pole and cart changes by the work of the force, up to the error of Euler's method.
    #[test]
    fn the_force_does_work() {
        let energy = |cart: &CartPole| {
            let kinetic = TOTAL * cart.velocity.powi(2) / 2.0
                + POLE * HALF_LENGTH * cart.velocity * cart.angular_velocity * cart.angle.cos()
                + 2.0 / 3.0 * POLE * HALF_LENGTH.powi(2) * cart.angular_velocity.powi(2);
            kinetic + POLE * GRAVITY * HALF_LENGTH * cart.angle.cos()
        };
        let mut cart = CartPole { angle: 0.1, angular_velocity: -0.4, velocity: 0.3, ..CartPole::default() };
        let (before, mut work) = (energy(&cart), 0.0);
        for step in 0..20 {
            let push = if step % 2 == 0 { Push::Right } else { Push::Left };
            let next = cart.step(push);
            let force = if push == Push::Right { FORCE } else { -FORCE };
            work += force * DT * (cart.velocity + next.velocity) / 2.0;
            cart = next;
        }
        assert!((energy(&cart) - before - work).abs() < 0.02, "{} {}", energy(&cart) - before, work);
    }

    #[test]
    fn an_episode_ends_at_the_end_of_the_track_and_when_the_pole_falls() {
        let at = |position: f64, degrees: f64| CartPole {
            position,
            angle: degrees.to_radians(),
            ..Default::default()
        };
        assert!(!at(2.39, 11.9).is_over() && !at(-2.39, -11.9).is_over());
        assert!(at(2.41, 0.0).is_over() && at(0.0, -12.1).is_over());
    }

    #[test]
    fn starts_lie_close_to_rest_and_follow_from_the_seed() {
        let starts: Vec<CartPole> = (0..100).map(|episode| CartPole::start(3, 0, episode)).collect();
        for cart in &starts {
            let CartPole { position, velocity, angle, angular_velocity } = cart;
            assert!([position, velocity, angle, angular_velocity].iter().all(|value| value.abs() <= SPREAD));
        }
        assert_eq!(starts[7], CartPole::start(3, 0, 7));
        assert!(starts[7] != starts[8] && starts[7] != CartPole::start(4, 0, 7));
    }
}
