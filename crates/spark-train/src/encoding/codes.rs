//! The codes of [`Encoding`](super::Encoding): spikes of one frame.

use spark_kernels::philox::Stream;

use super::Place;

/// The steps for which a frame of a sample is shown, in a batch `[time, batch, inputs]` of zeros.
pub(super) struct Window<'a> {
    pub(super) out: &'a mut [u8],
    pub(super) place: Place,
    /// Steps before this frame.
    pub(super) start: usize,
    pub(super) steps: usize,
    /// The draws of the sample.
    pub(super) stream: Stream,
}

impl Window<'_> {
    fn spike(&mut self, step: usize, input: usize) {
        self.out[self.place.step(self.start + step) + input] = 1;
    }

    /// Spikes by chance; `limits` as [`limit`] gives them. Draws come four at a time, and none where four
    /// inputs in a row are silent.
    pub(super) fn bernoulli(&mut self, limits: Vec<u32>) {
        let blocks = limits.len().div_ceil(4);
        for t in self.start..self.start + self.steps {
            let at = self.place.step(t);
            let out = &mut self.out[at..at + limits.len()];
            for (block, (limits, out)) in limits.chunks(4).zip(out.chunks_mut(4)).enumerate() {
                if limits.iter().all(|&limit| limit == 0) {
                    continue;
                }
                let words = self.stream.words((t * blocks + block) as u32);
                for ((out, &limit), word) in out.iter_mut().zip(limits).zip(words) {
                    *out = u8::from((word >> 8) < limit);
                }
            }
        }
    }

    pub(super) fn latency(&mut self, x: &[f32], threshold: f32) {
        for (i, &x) in x.iter().enumerate() {
            if x > threshold {
                let step = ((1.0 - x.min(1.0)) * (self.steps - 1) as f32).round() as usize;
                self.spike(step, i);
            }
        }
    }

    pub(super) fn log_latency(&mut self, x: &[f32], tau: f32, threshold: f32) {
        for (i, &x) in x.iter().enumerate() {
            if x >= threshold {
                let step = (tau * (x / (x - threshold)).ln()).round_ties_even();
                // At the threshold itself it is never reached: the last step stands for that.
                self.spike((step as usize).min(self.steps - 1), i);
            }
        }
    }

    pub(super) fn phase(&mut self, x: &[f32], bits: u8) {
        let highest = (1u32 << bits) - 1;
        for (i, &x) in x.iter().enumerate() {
            let code = (x.clamp(0.0, 1.0) * highest as f32).round() as u32;
            for step in 0..self.steps {
                let digit = u32::from(bits) - 1 - (step as u32 % u32::from(bits));
                if code >> digit & 1 == 1 {
                    self.spike(step, i);
                }
            }
        }
    }

    /// The signal changes at the first step of a frame only.
    pub(super) fn delta(&mut self, x: &[f32], before: &[f32], threshold: f32, off: bool) {
        for (i, (&x, &before)) in x.iter().zip(before).enumerate() {
            if x - before >= threshold {
                self.spike(0, i);
            } else if off && before - x >= threshold {
                self.spike(0, self.place.inputs / 2 + i);
            }
        }
    }

    pub(super) fn burst(&mut self, x: &[f32], spikes: u16, [shortest, longest]: [u16; 2]) {
        for (i, &x) in x.iter().enumerate() {
            let x = x.clamp(0.0, 1.0);
            let count = (f32::from(spikes) * x).ceil() as usize;
            let apart = (f32::from(longest) - f32::from(longest - shortest) * x).ceil() as usize;
            let steps = self.steps;
            for step in (0..count).map(|k| k * apart).take_while(|&step| step < steps) {
                self.spike(step, i);
            }
        }
    }
}

/// A uniform 24-bit number is below this with probability `p`, cut at 0 and 1.
pub(super) fn limit(p: f32) -> u32 {
    (p.min(1.0) * 16_777_216.0) as u32
}

/// [`limit`] of `gain·level/255`.
pub(super) fn level_limit(gain: f32, level: usize) -> u32 {
    limit(gain * level as f32 / 255.0)
}

/// The answers of `fields` units to each number, in `(0, 1]`.
pub(super) fn receptive_fields(x: &[f32], fields: u16, [low, high]: [f32; 2], narrowness: f32) -> Vec<f32> {
    let apart = (high - low) / f32::from(fields - 2);
    let width = apart / narrowness;
    let answer = |x: f32, i: u16| {
        let centre = low + (2.0 * f32::from(i + 1) - 3.0) / 2.0 * apart;
        (-((x - centre) / width).powi(2) / 2.0).exp()
    };
    x.iter().flat_map(|&x| (0..fields).map(move |i| answer(x, i))).collect()
}
