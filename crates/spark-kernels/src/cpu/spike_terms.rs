//! What pre- and postsynaptic spikes mean for the synapses of one presynaptic unit.

use multiversion::multiversion;
use std::borrow::Cow;
use std::ops::Range;

use super::delays::{Past, slot};
use super::late_terms::{Arrivals, LateTerms};
use super::lists::Block;
use super::plasticity::SIDE_BY_SIDE;
use crate::delays::DelayOrder;
use crate::plasticity::Kind;

/// The terms of a rule that come from spikes, ready to be summed up by rows of synapses.
pub(super) struct SpikeTerms<'a> {
    /// Spikes and factor.
    on_pre: Option<(Signal<'a>, Cow<'a, [f32]>)>,
    /// Factor and spikes.
    on_post: Option<(Signal<'a>, Block)>,
    order: Option<&'a DelayOrder>,
    post: usize,
    /// Rows of `on_pre` and of `on_post`.
    pub rows: [usize; 2],
    /// Where a delayed factor of `on_post` lies by row and delay, counted to its first unit.
    places: Vec<usize>,
}

/// A presynaptic signal.
pub(super) struct Signal<'a> {
    pub kind: Kind,
    pub values: Cow<'a, [f32]>,
    pub rows: usize,
    pub pre: usize,
}

/// Postsynaptic events, unit after unit.
pub(super) struct Fired {
    /// The units with an event in any row, ascending.
    pub units: Vec<u32>,
    /// Where the events of each end.
    ends: Vec<usize>,
    /// Row and value of every event; the rows of a unit ascend.
    events: Vec<(usize, f32)>,
}

impl Fired {
    /// Calls `each` with every unit and the sum of `factor(row, unit)·value` over its events.
    #[inline(always)]
    fn visit(&self, factor: impl Fn(usize, usize) -> f32, mut each: impl FnMut(usize, f32)) {
        let change = |i: usize, sum: f32, (row, value): (usize, f32)| sum + factor(row, i) * value;
        if self.events.len() == self.units.len() {
            for (&unit, &event) in self.units.iter().zip(&self.events) {
                each(unit as usize, change(unit as usize, 0.0, event));
            }
            return;
        }
        let mut start = 0;
        for (&unit, &end) in self.units.iter().zip(&self.ends) {
            let events = self.events[start..end].iter();
            each(unit as usize, events.fold(0.0, |sum, event| change(unit as usize, sum, *event)));
            start = end;
        }
    }
}

/// The changes of the synapses of a unit, and which of them are not zero.
#[derive(Default)]
pub(super) struct Sums {
    pub values: Vec<f32>,
    /// All may be.
    pub all: bool,
    /// Those with one of these delays may be.
    pub delays: Vec<usize>,
    /// Those with postsynaptic units that spiked may be.
    pub spiked: bool,
    /// What a unit shows by row.
    pub seen: Vec<f32>,
    /// What arrives late.
    pub arrivals: Arrivals,
}

impl Sums {
    pub fn new(post: usize) -> Self {
        Self { values: vec![0.0; post], ..Self::default() }
    }
}

/// A term of a rule: what it depends on, and its two factors.
type Term<'a> = (Kind, Cow<'a, [f32]>, Cow<'a, [f32]>);

impl<'a> SpikeTerms<'a> {
    /// From the terms of a rule as slices, for weights `[pre, post]`.
    pub fn new(
        on_pre: Option<Term<'a>>,
        on_post: Option<Term<'a>>,
        order: Option<&'a DelayOrder>,
        [pre, post]: [usize; 2],
    ) -> Self {
        let rows = [&on_pre, &on_post].map(|term| term.as_ref().map_or(0, |term| term.2.len() / post.max(1)));
        let signal = |kind, values, rows| Signal { kind, values, rows, pre };
        let on_post = on_post
            .map(|(kind, factor, spikes)| (signal(kind, factor, rows[1]), Block::new(&spikes, post.max(1))));
        let places = on_post.as_ref().zip(order).map(|((signal, _), order)| signal.places(order.max() + 1));
        Self {
            on_pre: on_pre.map(|(kind, spikes, factor)| (signal(kind, spikes, rows[0]), factor)),
            on_post,
            order,
            post,
            rows,
            places: places.unwrap_or_default(),
        }
    }

    /// The terms of spikes that arrive late, where delays are kept as bits.
    pub fn late(&self) -> Option<LateTerms<'_>> {
        let (signal, factor) = self.on_pre.as_ref()?;
        let order = self.order?;
        match signal.kind {
            Kind::Delayed { newest } => {
                let rows = (0..signal.rows).map(|row| signal.past(row, newest, order.max() + 1)).collect();
                Some(LateTerms::new(rows, order.masks.as_ref()?, factor, self.post))
            }
            _ => None,
        }
    }

    /// About how many synapses have an event, those of a unit counted as so much fewer as they are moved faster
    /// side by side.
    pub fn size(&self, pre: usize) -> usize {
        let arriving = match &self.on_pre {
            Some((Signal { kind: Kind::Pairs, .. }, _)) => pre,
            Some((signal, _)) => {
                let events = signal.values.iter().filter(|x| **x != 0.0).count();
                // An event in a ring is met by one in so many synapses per step.
                events / signal.slots().max(1)
            }
            None => 0,
        };
        arriving * self.post / SIDE_BY_SIDE
            + self.on_post.as_ref().map_or(0, |(_, spikes)| spikes.count() * pre)
    }

    /// The postsynaptic events by unit.
    pub fn fired(&self) -> Fired {
        let mut events: Vec<(u32, usize, f32)> = Vec::new();
        if let Some((signal, spikes)) = &self.on_post {
            for row in 0..signal.rows {
                let (units, values) = spikes.row(row);
                let value = |k: usize| values.get(k).copied().unwrap_or(1.0);
                events.extend(units.iter().enumerate().map(|(k, &unit)| (unit, row, value(k))));
            }
            // Stable, so that the rows of a unit stay in order.
            events.sort_by_key(|event| event.0);
        }
        let ends = |k: usize| events.get(k + 1).is_none_or(|next| next.0 != events[k].0);
        let last = (0..events.len()).filter(|k| ends(*k));
        Fired {
            units: last.clone().map(|k| events[k].0).collect(),
            ends: last.map(|k| k + 1).collect(),
            events: events.iter().map(|&(_, row, value)| (row, value)).collect(),
        }
    }

    /// Adds what the given rows of `on_pre` and of `on_post` mean for the synapses of a unit.
    pub fn add(&self, unit: usize, [on_pre, on_post]: [Range<usize>; 2], sums: &mut Sums) {
        self.add_arriving(unit, on_pre, sums);
        self.add_fired(unit, on_post, sums);
    }

    /// Whether rows of `on_pre` may mean anything for the synapses of a unit.
    #[inline(always)]
    pub fn may_arrive(&self, unit: usize) -> bool {
        match &self.on_pre {
            Some((signal, _)) if signal.kind == Kind::Units => {
                (0..signal.rows).any(|row| signal.unit(row, unit) != 0.0)
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Adds what rows of `on_pre` mean for the synapses of a unit.
    pub fn add_arriving(&self, unit: usize, rows: Range<usize>, sums: &mut Sums) {
        if let Some((signal, factor)) = &self.on_pre {
            for row in rows {
                self.arrive(signal, row, unit, &factor[row * self.post..(row + 1) * self.post], sums);
            }
        }
    }

    /// Adds what rows of `on_post` mean for the synapses of a unit.
    pub fn add_fired(&self, unit: usize, rows: Range<usize>, sums: &mut Sums) {
        if let Some((signal, spikes)) = &self.on_post {
            for row in rows {
                self.fire(signal, row, unit, spikes.row(row), sums);
            }
        }
    }

    /// Calls `each` with the synapses of a unit onto units that `fired`, and with what all rows of `on_post` mean
    /// for them. `seen` is memory for what the unit shows.
    #[inline(always)]
    pub fn each_fired(&self, unit: usize, fired: &Fired, seen: &mut Vec<f32>, each: impl FnMut(usize, f32)) {
        let Some((signal, _)) = &self.on_post else { return };
        seen.clear();
        match signal.kind {
            Kind::Units if signal.rows == 1 => {
                let factor = signal.unit(0, unit);
                if factor != 0.0 {
                    fired.visit(|_, _| factor, each);
                }
            }
            Kind::Units => {
                seen.extend((0..signal.rows).map(|row| signal.unit(row, unit)));
                if seen.iter().any(|factor| *factor != 0.0) {
                    fired.visit(|row, _| seen[row], each);
                }
            }
            Kind::Pairs => fired.visit(|row, i| signal.pairs(row, unit, self.post)[i], each),
            Kind::Delayed { .. } => {
                let Some(order) = self.order else { return };
                // Post by post: the delays of those that fired lie side by side from unit to unit.
                let (slots, delays) = (order.max() + 1, order.by_post(self.post));
                let past = |row, i| {
                    let delay = delays[i * signal.pre + unit] as usize;
                    signal.values[self.places[row * slots + delay] + unit]
                };
                fired.visit(past, each);
            }
        }
    }

    /// A presynaptic event.
    fn arrive(&self, signal: &Signal<'_>, row: usize, unit: usize, factor: &[f32], sums: &mut Sums) {
        match signal.kind {
            Kind::Units => {
                let spike = signal.unit(row, unit);
                if spike != 0.0 {
                    add_scaled(&mut sums.values, factor, spike);
                    sums.all = true;
                }
            }
            Kind::Pairs => {
                add_products(&mut sums.values, signal.pairs(row, unit, self.post), factor);
                sums.all = true;
            }
            Kind::Delayed { newest } => {
                let Some(order) = self.order else { return };
                for delay in 0..=order.max() {
                    let spike = signal.delayed(row, unit, newest, delay);
                    if spike == 0.0 {
                        continue;
                    }
                    for &target in order.of(unit, delay) {
                        sums.values[target as usize] += spike * factor[target as usize];
                    }
                    if !sums.delays.contains(&delay) {
                        sums.delays.push(delay);
                    }
                }
            }
        }
    }

    /// Postsynaptic events.
    fn fire(&self, signal: &Signal<'_>, row: usize, unit: usize, events: (&[u32], &[f32]), sums: &mut Sums) {
        if events.0.is_empty() {
            return;
        }
        match signal.kind {
            Kind::Units => {
                let factor = signal.unit(row, unit);
                if factor == 0.0 {
                    return;
                }
                add_events(&mut sums.values, events, |_| factor);
            }
            Kind::Pairs => {
                let factor = signal.pairs(row, unit, self.post);
                add_events(&mut sums.values, events, |i| factor[i]);
            }
            Kind::Delayed { .. } => {
                let Some(order) = self.order else { return };
                let places = &self.places[row * (order.max() + 1)..];
                let delays = &order.steps[unit * self.post..(unit + 1) * self.post];
                add_events(&mut sums.values, events, |i| signal.values[places[delays[i] as usize] + unit]);
            }
        }
        sums.spiked = true;
    }
}

impl Signal<'_> {
    /// Steps that a ring holds.
    fn slots(&self) -> usize {
        self.values.len() / (self.rows * self.pre).max(1)
    }

    /// Where the units of each row lie as many steps ago as each of some delays; nothing without a ring.
    fn places(&self, delays: usize) -> Vec<usize> {
        let Kind::Delayed { newest } = self.kind else { return Vec::new() };
        let place =
            |row| move |delay: usize| (slot(newest, self.slots(), delay) * self.rows + row) * self.pre;
        (0..self.rows).flat_map(|row| (0..delays).map(place(row))).collect()
    }

    /// What the units did in a row of a ring.
    fn past(&self, row: usize, newest: usize, depth: usize) -> Past<'_> {
        Past::new(&self.values, [self.slots(), self.rows, self.pre], row, depth, newest)
    }

    /// What `unit` shows in `row`, to all its synapses.
    pub fn unit(&self, row: usize, unit: usize) -> f32 {
        self.values[row * self.pre + unit]
    }

    /// What it shows to each of its synapses.
    fn pairs(&self, row: usize, unit: usize, post: usize) -> &[f32] {
        let at = (row * self.pre + unit) * post;
        &self.values[at..at + post]
    }

    /// Writes out what `unit` shows in `row` to each of its synapses; tells whether that may be anything but
    /// zero.
    pub fn to_pairs(&self, row: usize, unit: usize, order: Option<&DelayOrder>, to: &mut [f32]) -> bool {
        match self.kind {
            Kind::Units => {
                let value = self.unit(row, unit);
                to.fill(value);
                value != 0.0
            }
            Kind::Pairs => {
                to.copy_from_slice(self.pairs(row, unit, to.len()));
                true
            }
            Kind::Delayed { newest } => {
                let Some(order) = order else { return false };
                let delays = &order.steps[unit * to.len()..(unit + 1) * to.len()];
                for (value, delay) in to.iter_mut().zip(delays) {
                    *value = self.delayed(row, unit, newest, *delay as usize);
                }
                true
            }
        }
    }

    /// What it showed `delay` steps ago.
    fn delayed(&self, row: usize, unit: usize, newest: usize, delay: usize) -> f32 {
        self.unit(slot(newest, self.slots(), delay) * self.rows + row, unit)
    }
}

/// `sums[i] += factor(i)·spike` for spikes at `units`, all 1 where there are no `values`.
#[inline(always)]
fn add_events(sums: &mut [f32], (units, values): (&[u32], &[f32]), factor: impl Fn(usize) -> f32) {
    if values.is_empty() {
        for &i in units {
            sums[i as usize] += factor(i as usize);
        }
    } else {
        for (&i, value) in units.iter().zip(values) {
            sums[i as usize] += factor(i as usize) * value;
        }
    }
}

/// `sums[i] += row[i]·value`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn add_scaled(sums: &mut [f32], row: &[f32], value: f32) {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += x * value;
    }
}

/// `sums[i] += a[i]·b[i]`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn add_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
}
