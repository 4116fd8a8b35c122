//! Learning from plateaus: the fused pass against the composed one.

use proptest::prelude::*;
use spark::burn::tensor::Int;
use spark::kernels::{
    DelayRing, Delays, Gate, PlasticityOptions, Plateau, PlateauDynamics, PreSignal, plateau_step,
};
use spark::prelude::*;

use super::{assert_close, draw, floats, on_one_and_two_threads, tensor};
use crate::support::devices;

const MAX_DELAY: usize = 3;

#[derive(Clone, Debug)]
struct Case {
    pre: usize,
    post: usize,
    samples: usize,
    /// How the eligibility is given: 1 by unit, 2 by pair, 3 late.
    kind: u8,
    sign: bool,
    seed: u64,
}

impl Case {
    fn values<const D: usize>(&self, name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
        tensor(draw(self.seed, name, shape.iter().product(), -0.2, 1.5), shape, device)
    }

    fn run(&self, device: &Device) -> Vec<f32> {
        let Self { pre, post, samples, .. } = *self;
        let steps = self.values("delays", [pre, post], device).clamp_min(0.0) * 2.0;
        let delays = Delays::new(steps.int() as Tensor<2, Int>, MAX_DELAY).unwrap();
        let by_unit = |name: &str| self.values(name, [samples, pre], device).clamp_min(0.0);
        let eligibility = match self.kind {
            1 => PreSignal::Units(by_unit("eligibility")),
            2 => PreSignal::Pairs(self.values("eligibility", [samples, pre, post], device)),
            _ => {
                let ring = DelayRing::new(MAX_DELAY, samples, pre, device);
                PreSignal::Delayed((0..6).fold(ring, |ring, step| ring.push(by_unit(&step.to_string()))))
            }
        };
        let plateau = Plateau {
            eligibility,
            instructive: self.values("instructive", [samples, post], device),
            sign: self.sign.then(|| self.values("sign", [samples, post], device) * 2.0 - 1.2),
            delays: (self.kind == 3).then_some(delays),
            dynamics: PlateauDynamics {
                potentiation: Gate { midpoint: 0.24, slope: 30.3 },
                depression: Gate { midpoint: 0.09, slope: 80.0 },
                k_pot: 0.6,
                k_dep: 0.4,
                k_neg: 0.3,
            },
        };
        let options = PlasticityOptions { rate: 0.5, samples, min: 0.0, max: 1.6, ..Default::default() };
        let weight = self.values("weight", [pre, post], device).clamp_min(0.0);
        floats(plateau_step(weight, plateau, options))
    }

    fn check(&self, name: &str, device: &Device) {
        let expected = self.run(&Device::flex().autodiff());
        assert_close(&self.run(device), &expected, 1e-5, &format!("{name}, {self:?}"));
    }
}

prop_compose! {
    fn cases()(
        pre in 1usize..40, post in 1usize..40, samples in 1usize..4, kind in 1u8..=3, sign: bool, seed: u64,
    ) -> Case {
        Case { pre, post, samples, kind, sign, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn fused_plateaus_equal_composed_ones_on_the_cpu(case in cases()) {
        for (name, device) in &devices()[..2] {
            case.check(name, device);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..Default::default() })]

    #[test]
    fn plateaus_equal_composed_ones_on_gpus(case in cases()) {
        for (name, device) in devices().iter().skip(2) {
            case.check(name, device);
        }
    }
}

#[test]
fn plateaus_do_not_depend_on_the_number_of_threads() {
    for kind in 1..=3 {
        let case = Case { pre: 150, post: 130, samples: 2, kind, sign: true, seed: 3 };
        let [one, two] = on_one_and_two_threads(|| case.run(&Device::flex()));
        assert!(one == two, "kind {kind}");
    }
}
