//! Which module of a model feeds which.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;
use spark_core::model::{Model, ModuleSpec, Origin, Settings, Wire};

use super::colours::CATEGORIES;
use super::layers::{Layout, layout};
use super::panel::{Drawn, SPACE, TEXT, headed};
use super::picture::FONT;

/// Height of a box, in pixels.
const BOX: f64 = 44.0;

/// Space above the boxes for title and note, and below them, in pixels.
const AROUND: (u32, u32) = (68, 24);

/// Space above the boxes for arrows from a module to itself, in pixels.
const LOOP: u32 = 24;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    /// An input or output of the model.
    Port,
}

/// A box.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    name: String,
    detail: String,
    kind: Kind,
}

/// An arrow, which stands for all connections between two boxes.
#[derive(Clone, Debug, PartialEq)]
struct Edge {
    from: usize,
    to: usize,
    labels: Vec<String>,
    /// Whether it writes a property after the step.
    effect: bool,
}

/// The modules of a controller as boxes, from left to right as they feed one another, and its connections as arrows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Title above it.
    pub title: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Graph {
    /// The modules of a model.
    ///
    /// # Examples
    /// ```
    /// use spark_core::model::Model;
    /// use spark_record::figures::{Figure, Graph};
    ///
    /// let model: Model = serde_json::from_str(
    ///     r#"{"spark": 1, "module": "Brain", "config": {"modules": [
    ///         {"name": "pool", "module": "LIFNeuron", "inputs": {"in_spikes": ["__call__.signal", "pool.out_spikes"]},
    ///          "outputs": {"spikes": "out_spikes"}}]}}"#,
    /// )?;
    /// let svg = Figure::column([Graph::of(&model).into()]).svg()?;
    /// assert!(["pool", "LIFNeuron", "signal", "spikes"].iter().all(|text| svg.contains(text)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(model: &Model) -> Self {
        // Neurons have their modules by default; a model that is not valid is drawn as it is written.
        let model = model.complete().unwrap_or_else(|_| model.clone());
        let title = format!("Modules of the model ({})", model.module);
        Self::of_modules(&title, &model.config)
    }

    /// The modules inside each kind of controller that a model has, one graph for each.
    pub fn inside(model: &Model) -> Vec<Self> {
        let model = model.complete().unwrap_or_else(|_| model.clone());
        let mut graphs: Vec<(Self, Vec<&str>)> = Vec::new();
        for module in model.config.modules.iter().filter(|module| !module.config.modules.is_empty()) {
            let graph = Self::of_modules(&module.module, &module.config);
            match graphs.iter_mut().find(|(known, _)| *known == graph) {
                Some((_, names)) => names.push(&module.name),
                None => graphs.push((graph, vec![&module.name])),
            }
        }
        let named = |(graph, names): (Self, Vec<&str>)| {
            let title = format!("Inside {} ({})", shortened(&names.join(", "), 60), graph.title);
            Self { title, ..graph }
        };
        graphs.into_iter().map(named).collect()
    }

    fn of_modules(title: &str, config: &Settings) -> Self {
        let mut graph = Self { title: title.to_owned(), ..Self::default() };
        for module in &config.modules {
            let detail = match units(module) {
                Some(units) => format!("{} · {units}", module.module),
                None => module.module.clone(),
            };
            graph.nodes.push(Node { name: module.name.clone(), detail, kind: Kind::Module });
        }
        for (to, module) in config.modules.iter().enumerate() {
            for wire in module.inputs.values().flatten() {
                graph.connect(config, wire, to, &wire.port, false);
            }
            for (property, wires) in &module.effects {
                for wire in wires {
                    graph.connect(config, wire, to, property, true);
                }
            }
            for (name, port) in &module.outputs {
                let output = graph.nodes.len();
                graph.nodes.push(Node { name: name.clone(), detail: "output".into(), kind: Kind::Port });
                graph.edges.push(Edge { from: to, to: output, labels: vec![port.clone()], effect: false });
            }
        }
        graph
    }

    fn connect(&mut self, config: &Settings, wire: &Wire, to: usize, label: &str, effect: bool) {
        let from = match &wire.origin {
            Origin::Module(name) => config.modules.iter().position(|module| module.name == *name),
            Origin::Own => None,
            Origin::Call => Some(self.input(&wire.port)),
        };
        let Some(from) = from else { return };
        let label = if wire.property { format!("#{label}") } else { label.to_owned() };
        let known = self.edges.iter_mut().find(|e| (e.from, e.to, e.effect) == (from, to, effect));
        match known {
            Some(edge) if edge.labels.contains(&label) => {}
            Some(edge) => edge.labels.push(label),
            None => self.edges.push(Edge { from, to, labels: vec![label], effect }),
        }
    }

    /// The box of an input.
    fn input(&mut self, name: &str) -> usize {
        let known = self.nodes.iter().position(|node| node.detail == "input" && node.name == name);
        known.unwrap_or_else(|| {
            self.nodes.push(Node { name: name.to_owned(), detail: "input".into(), kind: Kind::Port });
            self.nodes.len() - 1
        })
    }

    /// Whether there is nothing to be drawn.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn layout(&self) -> Layout {
        let edges: Vec<_> = self.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        layout(self.nodes.len(), &edges, BOX)
    }

    /// Left and right end of the boxes of each layer, in pixels, and where the last one ends.
    fn columns(&self, laid: &Layout) -> (Vec<(f64, f64)>, f64) {
        let layers = laid.layer.iter().max().map_or(0, |most| most + 1);
        let mut widths = vec![60.0_f64; layers];
        for (node, layer) in self.nodes.iter().zip(&laid.layer) {
            let letters = node.name.chars().count() as f64 * 9.0;
            let small = node.detail.chars().count() as f64 * 7.4;
            widths[*layer] = widths[*layer].max(letters.max(small) + 24.0);
        }
        let longest = self.edges.iter().map(|edge| edge.label().chars().count()).max().unwrap_or(0);
        let gap = (longest as f64 * 7.0 + 60.0).clamp(90.0, 200.0);
        let mut left = 2.0 * f64::from(SPACE.0);
        let mut columns = Vec::new();
        for width in widths {
            columns.push((left, left + width));
            left += width + gap;
        }
        let end = columns.last().map_or(0.0, |(_, right)| right + 2.0 * f64::from(SPACE.0));
        (columns, end)
    }

    /// Where the boxes begin, in pixels.
    fn top(&self) -> f64 {
        let loops = self.edges.iter().any(|edge| edge.from == edge.to);
        f64::from(AROUND.0 + if loops { LOOP } else { 0 })
    }

    /// Width and height that it needs, in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        let laid = self.layout();
        (self.columns(&laid).1 as u32, laid.height as u32 + self.top() as u32 + AROUND.1)
    }

    pub(super) fn draw<B>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B: DrawingBackend<ErrorType: 'static>,
    {
        let effects = self.edges.iter().any(|edge| edge.effect);
        let note = if effects { "dashed: effects, which write a property after the step" } else { "" };
        headed(area, &self.title, note)?;
        let laid = self.layout();
        let (columns, end) = self.columns(&laid);
        let left = ((f64::from(area.dim_in_pixel().0) - end) / 2.0).max(0.0);
        let columns: Vec<_> = columns.into_iter().map(|(from, to)| (from + left, to + left)).collect();
        let ways = self.ways(&laid, &columns);
        for (edge, way) in self.edges.iter().zip(&ways) {
            draw_way(area, edge, way)?;
        }
        let mut taken = Vec::new();
        for (edge, way) in self.edges.iter().zip(&ways) {
            label(area, edge, way, &mut taken)?;
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let (left, right) = columns[laid.layer[place]];
            draw_node(area, node, (left, right), laid.middle[place] + self.top())?;
        }
        Ok(())
    }

    /// The points of each arrow, from its tail to its head.
    fn ways(&self, laid: &Layout, columns: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let ends = self.ends(laid);
        let of = |(edge, places): (usize, &Vec<usize>)| {
            let Some((first, last)) = places.first().zip(places.last()) else {
                let node = self.edges[edge].from;
                return loop_of(columns[laid.layer[node]], laid.middle[node] + self.top());
            };
            let mut stops = vec![(columns[laid.layer[*first]].1, ends[edge][0])];
            for place in &places[1..places.len() - 1] {
                let (left, right) = columns[laid.layer[*place]];
                stops.extend([left, right].map(|x| (x, laid.middle[*place] + self.top())));
            }
            stops.push((columns[laid.layer[*last]].0, ends[edge][1]));
            let mut way: Vec<(f64, f64)> = stops.chunks(2).flat_map(|pair| curve(pair[0], pair[1])).collect();
            if laid.back[edge] {
                way.reverse();
            }
            way
        };
        laid.ways.iter().enumerate().map(of).collect()
    }

    /// The heights at which each edge leaves its first box and meets its last one: spread over the sides of the boxes in
    /// the order of what is at the other end.
    fn ends(&self, laid: &Layout) -> Vec<[f64; 2]> {
        let mut ends = vec![[0.0; 2]; self.edges.len()];
        for node in 0..self.nodes.len() {
            for leaves in [true, false] {
                let touches = |way: &[usize]| if leaves { way.first() } else { way.last() } == Some(&node);
                let other = |way: &[usize]| laid.middle[if leaves { way[1] } else { way[way.len() - 2] }];
                let here = laid.ways.iter().enumerate().filter(|(_, way)| touches(way));
                let mut here: Vec<(f64, usize)> = here.map(|(edge, way)| (other(way), edge)).collect();
                here.sort_by(|a, b| a.0.total_cmp(&b.0));
                let step = (BOX - 10.0) / here.len().max(1) as f64;
                for (at, (_, edge)) in here.iter().enumerate() {
                    let shift = (at as f64 + 0.5) * step - (BOX - 10.0) / 2.0;
                    ends[*edge][usize::from(!leaves)] = laid.middle[node] + shift + self.top();
                }
            }
        }
        ends
    }
}

impl Edge {
    fn label(&self) -> String {
        shortened(&self.labels.join(", "), 20)
    }

    fn colour(&self) -> RGBColor {
        CATEGORIES[usize::from(self.effect)]
    }
}

/// The number of units of a neuron.
fn units(module: &ModuleSpec) -> Option<String> {
    let units = module.config.fields.get("units")?.as_array()?;
    let sizes: Vec<String> = units.iter().map(Value::to_string).collect();
    Some(format!("{} units", sizes.join("×")))
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A curve that leaves and arrives horizontally.
fn curve(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = (f64, f64)> {
    (0..=24).map(move |step| {
        let part = f64::from(step) / 24.0;
        let smooth = part * part * (3.0 - 2.0 * part);
        (from.0 + part * (to.0 - from.0), from.1 + smooth * (to.1 - from.1))
    })
}

/// An arrow from a box to itself, over its top.
fn loop_of((left, right): (f64, f64), middle: f64) -> Vec<(f64, f64)> {
    let (centre, top) = ((left + right) / 2.0, middle - BOX / 2.0);
    let point = |step: i32| {
        let angle = std::f64::consts::PI * f64::from(step) / 16.0;
        (centre + 22.0 * angle.cos(), top - 22.0 * angle.sin())
    };
    (0..=16).map(point).collect()
}

/// A way in dashes of 7 pixels with gaps of 5 between them.
fn dashed(way: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let (mut dashes, mut dash, mut left, mut draws) = (Vec::new(), Vec::new(), 7.0, true);
    for pair in way.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if draws {
                dash.push(from);
            }
            if length <= left {
                left -= length;
                break;
            }
            let part = left / length;
            from = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
            if draws {
                dash.push(from);
                dashes.push(std::mem::take(&mut dash));
            }
            draws = !draws;
            left = if draws { 7.0 } else { 5.0 };
        }
    }
    dash.extend(way.last().filter(|_| draws));
    dashes.push(dash);
    dashes
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn draw_way<B>(area: &DrawingArea<B, Shift>, edge: &Edge, way: &[(f64, f64)]) -> Drawn
where
    B: DrawingBackend<ErrorType: 'static>,
{
    let colour = edge.colour();
    let dashes = if edge.effect { dashed(way) } else { vec![way.to_vec()] };
    for dash in dashes {
        for pair in dash.windows(2) {
            area.draw(&PathElement::new([pixel(pair[0]), pixel(pair[1])], colour.stroke_width(2)))?;
        }
    }
    let Some((tip, before)) = way.last().zip(way.iter().rev().nth(2)) else { return Ok(()) };
    let (across, down) = (tip.0 - before.0, tip.1 - before.1);
    let length = across.hypot(down).max(1e-9);
    let (across, down) = (across / length, down / length);
    let corner =
        |side: f64| (tip.0 - 9.0 * across - side * 4.5 * down, tip.1 - 9.0 * down + side * 4.5 * across);
    let head = [*tip, corner(1.0), corner(-1.0)].map(pixel);
    area.draw(&Polygon::new(head, colour.filled()))?;
    Ok(())
}

/// Writes what an arrow carries where no other text is; not at all where there is no such place.
fn label<B>(area: &DrawingArea<B, Shift>, edge: &Edge, way: &[(f64, f64)], taken: &mut Vec<[f64; 4]>) -> Drawn
where
    B: DrawingBackend<ErrorType: 'static>,
{
    let text = edge.label();
    let centre = Pos::new(HPos::Center, VPos::Center);
    let ink = edge.colour();
    let style = (FONT, 11).into_text_style(area).pos(centre).color(&ink);
    let (width, height) = area.estimate_text_size(&text, &style)?;
    let (width, height) = (f64::from(width) / 2.0 + 3.0, f64::from(height) / 2.0 + 2.0);
    let own = edge.from == edge.to;
    // Within the first gap between layers, which no box reaches into.
    let places: &[usize] = if own { &[8] } else { &[12, 9, 15, 7, 17] };
    for place in places {
        let Some((x, y)) = way.get(*place).map(|(x, y)| (*x, if own { y - 7.0 } else { *y })) else {
            continue;
        };
        let frame = [x - width, y - height, x + width, y + height];
        let apart = |other: &[f64; 4]| {
            frame[2] < other[0] || frame[0] > other[2] || frame[3] < other[1] || frame[1] > other[3]
        };
        if taken.iter().all(apart) {
            let corners = [pixel((frame[0], frame[1])), pixel((frame[2], frame[3]))];
            area.draw(&Rectangle::new(corners, WHITE.mix(0.85).filled()))?;
            area.draw_text(&text, &style, pixel((x, y)))?;
            taken.push(frame);
            break;
        }
    }
    Ok(())
}

fn draw_node<B>(area: &DrawingArea<B, Shift>, node: &Node, (left, right): (f64, f64), middle: f64) -> Drawn
where
    B: DrawingBackend<ErrorType: 'static>,
{
    let corners = [pixel((left, middle - BOX / 2.0)), pixel((right, middle + BOX / 2.0))];
    let tint = match node.kind {
        Kind::Module => CATEGORIES[5].mix(0.25),
        Kind::Port => BLACK.mix(0.08),
    };
    area.draw(&Rectangle::new(corners, WHITE.filled()))?;
    area.draw(&Rectangle::new(corners, tint.filled()))?;
    area.draw(&Rectangle::new(corners, BLACK.mix(0.5)))?;
    let centre = Pos::new(HPos::Center, VPos::Center);
    for (text, size, shift) in [(&node.name, TEXT.1 + 1, -9.0), (&node.detail, TEXT.2, 10.0)] {
        let style = (FONT, size).into_text_style(area).pos(centre).color(&BLACK);
        area.draw_text(text, &style, pixel(((left + right) / 2.0, middle + shift)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;
    use spark_nn as _; // Its neurons are registered.

    fn graph() -> Graph {
        let text = r#"{"spark": 1, "module": "Brain", "config": {"modules": [
            {"name": "spiker", "module": "LinearSpiker", "inputs": {"signal": "__call__.signal"}},
            {"name": "a", "module": "LIFNeuron", "config": {"units": [6, 4]},
             "inputs": {"in_spikes": ["spiker.spikes", "a.out_spikes", "b.out_spikes"]}},
            {"name": "b", "module": "LIFNeuron", "config": {"units": [5]}, "inputs": {"in_spikes": "a.out_spikes"}},
            {"name": "readout", "module": "ExponentialIntegrator", "inputs": {"spikes": "b.out_spikes"},
             "outputs": {"action": "signal"}}]}}"#;
        Graph::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn every_module_port_and_wire_is_in_it() {
        let graph = graph();
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["spiker", "a", "b", "readout", "signal", "action"]);
        assert_eq!(graph.nodes[1].detail, "LIFNeuron · 6×4 units");
        assert_eq!(graph.edges.len(), 7);
        let laid = graph.layout();
        assert_eq!(laid.layer[..6], [1, 2, 3, 4, 0, 5]);
        assert_eq!(laid.back.iter().filter(|back| **back).count(), 1);
        let svg = Figure::column([graph.into()]).svg().unwrap();
        assert!(["readout", "out_spikes", "LinearSpiker"].iter().all(|text| svg.contains(text)));
    }

    #[test]
    fn neurons_of_one_kind_share_a_graph_of_what_is_inside() {
        let text = r#"{"spark": 1, "module": "Brain", "config": {"modules": [
            {"name": "a", "module": "LIFNeuron", "inputs": {"in_spikes": "__call__.x"}},
            {"name": "b", "module": "LIFNeuron", "inputs": {"in_spikes": "a.out_spikes"}}]}}"#;
        let inside = Graph::inside(&serde_json::from_str(text).unwrap());
        assert_eq!(inside.len(), 1);
        assert!(inside[0].title.contains("a, b") && inside[0].nodes.iter().any(|node| node.name == "soma"));
    }

    #[test]
    fn dashes_have_gaps_along_the_whole_way() {
        let dashes = dashed(&[(0.0, 0.0), (10.0, 0.0), (40.0, 0.0)]);
        let ends: Vec<_> = dashes.iter().map(|dash| (dash[0].0, dash[dash.len() - 1].0)).collect();
        assert_eq!(ends, [(0.0, 7.0), (12.0, 19.0), (24.0, 31.0), (36.0, 40.0)]);
    }

    #[test]
    fn a_model_of_nothing_or_of_unknown_modules_is_drawn() {
        let empty: Model = serde_json::from_str(r#"{"spark": 1, "module": "Brain"}"#).unwrap();
        assert!(Graph::of(&empty).is_empty());
        let text = r#"{"spark": 1, "module": "Brain", "config": {"modules": [
            {"name": "a", "module": "NoSuch", "inputs": {"x": "gone.y"}}]}}"#;
        let unknown = Graph::of(&serde_json::from_str(text).unwrap());
        assert_eq!((unknown.nodes.len(), unknown.edges.len()), (1, 0));
        Figure::column([Graph::default().into(), unknown.into()]).png().unwrap();
    }
}
