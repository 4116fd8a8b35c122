//! Looking into a controller while it runs.

use spark_core::host::Signal;
use spark_core::look::{Look, Place, Sight, SightKind, Spot};
use spark_core::payload::{PayloadKind, Shape};

use super::controller::Controller;
use super::layout::Read;
use super::on_host::Hosting;

/// Whether an output has values by unit. Kernels are seen where they are kept, not where a rule hands them on.
fn is_seen(shape: &Shape) -> bool {
    !shape.pairs && !matches!(shape.kind, PayloadKind::Kernel | PayloadKind::DelayKernel)
}

impl Controller {
    /// Everything there is to see inside, and its own outputs under their own names.
    pub(super) fn sights_inside(&self) -> Vec<Sight> {
        let mut sights = Vec::new();
        for node in &self.nodes {
            let own = node.outputs.iter().filter(|(_, shape)| is_seen(shape)).map(|(port, shape)| Sight {
                address: port.to_string(),
                kind: SightKind::Output,
                payload: Some(shape.kind),
                shape: shape.units.clone(),
            });
            // Outputs of a controller inside are those of its modules by another name.
            let inside = node.instance.sights();
            let inside = inside.into_iter().filter(|sight| {
                let output = sight.kind == SightKind::Output && !sight.address.contains('.');
                !output
            });
            sights.extend(own.chain(inside).map(|sight| sight.within(node.name)));
        }
        let outputs = self.outputs.iter().zip(&self.output_shapes).filter(|(_, shape)| is_seen(shape));
        sights.extend(outputs.map(|((name, _), shape)| Sight {
            address: (*name).to_owned(),
            kind: SightKind::Output,
            payload: Some(shape.kind),
            shape: shape.units.clone(),
        }));
        sights
    }

    /// Where an address leads.
    pub(super) fn find_inside(&mut self, address: &str) -> Option<Place> {
        if let Some(at) = self.outputs.iter().position(|(name, _)| *name == address) {
            let Read::Slot { slot, .. } = self.outputs[at].1 else { return None };
            return self.keep(slot);
        }
        let (module, rest) = address.split_once('.')?;
        let at = self.nodes.iter().position(|node| node.name == module)?;
        let node = &mut self.nodes[at];
        match node.outputs.iter().position(|(port, shape)| *port == rest && is_seen(shape)) {
            Some(output) => {
                let slot = node.first + output;
                self.keep(slot)
            }
            None => node.instance.find(rest).map(|place| place.inside(at)),
        }
    }

    /// Nobody takes a slot away any more: what is there can be seen until it is written anew.
    fn keep(&mut self, slot: usize) -> Option<Place> {
        let reads = self.nodes.iter_mut().flat_map(|node| &mut node.feeds).flat_map(|(_, reads)| reads);
        let outputs = self.outputs.iter_mut().map(|(_, read)| read);
        for read in reads.chain(outputs).chain(self.effects.iter_mut().map(|effect| &mut effect.read)) {
            if let Read::Slot { slot: read, take } = read
                && *read == slot
            {
                *take = false;
            }
        }
        let holds = |first: usize, outputs: usize| (first..first + outputs).contains(&slot);
        let node = self.nodes.iter().position(|node| holds(node.first, node.outputs.len()))?;
        Some(Place::here(Spot::Output(node, slot - self.nodes[node].first)))
    }

    /// Shows what stands where a route ends.
    pub(super) fn show(&self, route: &[usize], spot: &Spot, see: &mut dyn FnMut(Look<'_>)) {
        match (route, spot) {
            ([node, rest @ ..], spot) => self.nodes[*node].instance.look_along(rest, spot, see),
            ([], Spot::Output(node, output)) => {
                if let Hosting::In(stay) = &self.host {
                    return match &stay.signals[*node][*output] {
                        Signal::Spikes(spikes) => see(Look::Spikes(spikes)),
                        Signal::Values(values) => see(Look::Values(values)),
                    };
                }
                if let Some(payload) = &self.slots[self.nodes[*node].first + output] {
                    see(Look::Payload(payload));
                }
            }
            ([], _) => {}
        }
    }
}
