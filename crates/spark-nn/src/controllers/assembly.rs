//! Shapes worked out along the wiring, and modules built for them.

use burn::tensor::{Tensor, TensorData};
use spark_core::component::{BuildError, Context, Instance};
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, intern};
use spark_core::registry::{Interface, OutputShapes};
use spark_core::schema::join;
use spark_core::{Problems, seed};

use super::controller::{Controller, Part};
use super::wiring::{Feed, Output, Source, Wired};

/// How many units of a neuron inhibit.
#[derive(Clone, Copy, Debug)]
pub struct Inhibition {
    /// Number of units.
    pub units: usize,
    /// The share that inhibits.
    pub rate: f32,
}

impl Inhibition {
    /// 1 for units that inhibit, `[units]`; `None` where there is none.
    fn draw(self, context: &Context) -> Option<Tensor<1>> {
        let count = (f64::from(self.rate) * self.units as f64 + 1e-6).floor() as usize;
        let mut mask = vec![0f32; self.units];
        let order = seed::permutation(self.units, &mut seed::rng(context.seed, "inhibition_mask"));
        for unit in order.into_iter().take(count) {
            mask[unit] = 1.0;
        }
        let mask = TensorData::new(mask, [self.units]);
        (count > 0).then(|| Tensor::from_data(mask, &context.device))
    }
}

/// Modules on the way to being built.
pub struct Assembly<'a> {
    wired: &'a Wired,
    inputs: &'a InputShapes,
    known: Vec<OutputShapes>,
    built: Vec<Option<Box<dyn Instance>>>,
    mask: Option<Shape>,
}

impl<'a> Assembly<'a> {
    /// Nothing known yet but what is wired to the controller.
    pub fn new(wired: &'a Wired, inputs: &'a InputShapes) -> Self {
        let modules = wired.modules.len();
        Self {
            wired,
            inputs,
            known: vec![Vec::new(); modules],
            built: (0..modules).map(|_| None).collect(),
            mask: None,
        }
    }

    /// Outputs of the controller whose shapes follow without building anything.
    pub fn infer(mut self) -> OutputShapes {
        self.infer_all();
        let shape = |output: &Output| {
            let shape = self.output(output.module, &output.port)?;
            Some((intern(&output.name).into(), shape.clone()))
        };
        self.wired.outputs.iter().filter_map(shape).collect()
    }

    /// Whether the shapes of each module follow without building anything.
    pub fn foreseen(mut self) -> Vec<bool> {
        self.infer_all();
        self.known.iter().map(|shapes| !shapes.is_empty()).collect()
    }

    /// Infers as long as something new follows.
    fn infer_all(&mut self) {
        while (0..self.known.len()).any(|place| self.inferred(place)) {}
    }

    /// Whether something is known of the outputs of a module that was not known before.
    fn inferred(&mut self, place: usize) -> bool {
        let inputs = self.wired_to(place).map(|(inputs, _)| inputs).unwrap_or_default();
        let shapes = self.wired.modules[place].config.infer(&inputs);
        let more = shapes.len() > self.known[place].len();
        if more {
            self.known[place] = shapes;
        }
        more
    }

    fn output(&self, module: usize, port: &str) -> Option<&Shape> {
        self.known[module].iter().find(|(name, _)| name == port).map(|(_, shape)| shape)
    }

    fn shape(&self, source: &Source) -> Option<Shape> {
        match source {
            Source::Call(place) => self.inputs.get(self.wired.calls[*place].name).cloned(),
            Source::Port { module, port } => self.output(*module, port).cloned(),
            Source::Property { module, name } => {
                self.built[*module].as_ref().and_then(|owner| owner.property_shape(name).ok())
            }
            Source::Mask => self.mask.clone(),
        }
    }

    /// The shapes that are wired to a module, and whether all are known.
    fn wired_to(&self, place: usize) -> Result<(InputShapes, bool), PortError> {
        let (mut inputs, mut complete) = (InputShapes::default(), true);
        for feed in &self.wired.modules[place].feeds {
            if self.absent(feed) {
                continue;
            }
            let shapes: Option<Vec<Shape>> = feed.sources.iter().map(|source| self.shape(source)).collect();
            match shapes.as_deref() {
                None => complete = false,
                Some([shape]) => inputs = inputs.with(&feed.port, shape.clone()),
                Some(shapes) => inputs = inputs.with(&feed.port, Shape::join(&feed.port, shapes)?),
            }
        }
        Ok((inputs, complete))
    }

    /// Whether a feed has nothing to give: an input that nobody feeds and nobody needs, or the mask of a
    /// neuron without inhibitory units.
    fn absent(&self, feed: &Feed) -> bool {
        feed.sources.iter().all(|source| match source {
            Source::Mask => self.mask.is_none(),
            Source::Call(place) => {
                let call = &self.wired.calls[*place];
                call.optional && self.inputs.get(call.name).is_none()
            }
            _ => false,
        })
    }

    /// Builds every module, and the controller of them.
    ///
    /// # Errors
    /// When a module does not fit what is wired to it, or shapes wait for one another.
    pub fn build(
        mut self,
        interface: Interface,
        inhibition: Option<Inhibition>,
        batch: usize,
        context: &Context,
    ) -> Result<Controller, BuildError> {
        let mask = inhibition.and_then(|inhibition| inhibition.draw(context));
        self.mask = mask.as_ref().map(|mask| Shape::new(PayloadKind::Mask, &mask.dims()));
        while self.built.iter().any(Option::is_none) {
            let mut progress = false;
            for place in self.wired.order.clone() {
                progress |= self.advance(place, batch, context)?;
            }
            if !progress {
                return Err(self.stuck(context));
            }
        }
        let parts = self.parts();
        let wired = self.wired;
        Ok(Controller::new(parts, wired, interface, self.inputs.clone(), mask, batch, context.device.clone()))
    }

    fn advance(&mut self, place: usize, batch: usize, context: &Context) -> Result<bool, BuildError> {
        if self.built[place].is_some() {
            return Ok(false);
        }
        let module = &self.wired.modules[place];
        let path = join(&context.name, &module.name);
        let (inputs, complete) =
            self.wired_to(place).map_err(|source| BuildError::Port { module: path.clone(), source })?;
        if !complete {
            return Ok(self.inferred(place));
        }
        let context = Context { name: path.clone(), ..context.clone() };
        let instance = module.config.instance(&inputs, batch, &context)?;
        let ports = instance.output_ports();
        for (port, shape) in &self.known[place] {
            let built = ports.iter().find(|(name, _)| name == port).map(|(_, shape)| shape);
            if built.is_some_and(|built| built != shape) {
                let (port, found) = (port.to_string(), built.map(ToString::to_string).unwrap_or_default());
                let source = PortError::Mismatch { port, found, expected: shape.to_string() };
                return Err(BuildError::Port { module: path, source });
            }
        }
        self.known[place] = ports;
        self.built[place] = Some(instance);
        Ok(true)
    }

    /// Why nothing more can be built: the modules that wait for one another.
    fn stuck(&self, context: &Context) -> BuildError {
        let mut problems = Problems::default();
        let waiting = self.wired.modules.iter().zip(&self.built).filter(|(_, built)| built.is_none());
        for (module, _) in waiting {
            for feed in module.feeds.iter().filter(|feed| !self.absent(feed)) {
                let unknown = feed.sources.iter().filter(|source| self.shape(source).is_none());
                let names: Vec<String> = unknown.map(|source| self.wired.wire(source).to_string()).collect();
                if !names.is_empty() {
                    let path = join(&module.name, &format!("inputs.{}", feed.port));
                    problems.push(path, format!("{} of unknown shape", names.join(", ")), "a known shape");
                }
            }
        }
        BuildError::Config { module: context.name.clone(), problems }
    }

    fn parts(&mut self) -> Vec<Part> {
        let absent: Vec<Vec<bool>> = self
            .wired
            .modules
            .iter()
            .map(|module| module.feeds.iter().map(|feed| self.absent(feed)).collect())
            .collect();
        let parts = self.built.iter_mut().zip(&self.wired.modules).zip(&self.known).zip(absent);
        parts
            .map(|(((instance, module), shapes), absent)| Part {
                name: module.name.clone(),
                instance: instance.take().expect("every module is built"),
                outputs: shapes.clone(),
                feeds: module
                    .feeds
                    .iter()
                    .zip(absent)
                    .filter(|(_, absent)| !absent)
                    .map(|(feed, _)| feed.clone())
                    .collect(),
                effects: module.effects.clone(),
            })
            .collect()
    }
}
