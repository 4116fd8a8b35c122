//! Graphs inside of graphs, taken apart.

use super::{Graph, Kind, Node};

impl Graph {
    /// The same graph without graphs inside: their nodes are called `graph.node`, and their inputs and outputs
    /// are gone, as are those of this graph that only pass on.
    ///
    /// # Errors
    /// A sentence that names the graph inside that has not one input and one output, or what two ways connect.
    ///
    /// # Examples
    /// ```
    /// use spark_io::nir::{Array, Graph, Kind};
    ///
    /// let ends = |kind: Kind| {
    ///     let mut graph = Graph::default();
    ///     graph.nodes.insert("input".into(), Kind::Input { shape: vec![2] }.into());
    ///     graph.nodes.insert("x".into(), kind.into());
    ///     graph.nodes.insert("output".into(), Kind::Output { shape: vec![2] }.into());
    ///     graph.connect("input", "x");
    ///     graph.connect("x", "output");
    ///     graph
    /// };
    /// let inside = ends(Kind::Scale { scale: Array::doubles(vec![], vec![2.0]) });
    /// let flat = ends(Kind::Graph(inside)).flat()?;
    /// assert_eq!(flat.nodes.keys().collect::<Vec<_>>(), ["input", "output", "x.x"]);
    /// assert_eq!(flat.edges, [("input".into(), "x.x".into()), ("x.x".into(), "output".into())]);
    /// # Ok::<(), String>(())
    /// ```
    pub fn flat(&self) -> Result<Self, String> {
        let mut flat = Self { metadata: self.metadata.clone(), ..Self::default() };
        let mut passing = Vec::new();
        self.flatten("", &mut flat, &mut passing)?;
        for name in passing {
            flat.bridge(&name)?;
        }
        Ok(flat)
    }

    fn flatten(&self, prefix: &str, flat: &mut Self, passing: &mut Vec<String>) -> Result<(), String> {
        for (name, node) in &self.nodes {
            let full = format!("{prefix}{name}");
            match &node.kind {
                Kind::Graph(inside) => {
                    inside.flatten(&format!("{full}."), flat, passing)?;
                }
                _ => {
                    if !prefix.is_empty() && matches!(node.kind, Kind::Input { .. } | Kind::Output { .. }) {
                        passing.push(full.clone());
                    }
                    if flat.nodes.insert(full.clone(), node.clone()).is_some() {
                        return Err(format!("found two nodes called `{full}`"));
                    }
                }
            }
        }
        for (from, to) in &self.edges {
            let from = self.end(prefix, from, "output")?;
            flat.edges.push((from, self.end(prefix, to, "input")?));
        }
        Ok(())
    }

    /// The node that an edge really ends at: of a graph inside its input or output.
    fn end(&self, prefix: &str, name: &str, side: &str) -> Result<String, String> {
        let full = format!("{prefix}{name}");
        let Some(Node { kind: Kind::Graph(inside), .. }) = self.nodes.get(name) else { return Ok(full) };
        let wanted = |kind: &Kind| match kind {
            Kind::Input { .. } => side == "input",
            Kind::Output { .. } => side == "output",
            _ => false,
        };
        let mut ends = inside.nodes.iter().filter(|(_, node)| wanted(&node.kind));
        match (ends.next(), ends.next()) {
            (Some((end, _)), None) => Ok(format!("{full}.{end}")),
            (first, _) => {
                let found = if first.is_some() { "several" } else { "none" };
                Err(format!("graph `{full}`: found {found} of its {side}s, expected one"))
            }
        }
    }

    /// Takes out a node that only passes on.
    fn bridge(&mut self, name: &str) -> Result<(), String> {
        let (mut before, mut after, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (from, to) in self.edges.drain(..) {
            match (from == name, to == name) {
                (true, true) => return Err(format!("found `{name}` connected to itself")),
                (true, false) => after.push(to),
                (false, true) => before.push(from),
                (false, false) => others.push((from, to)),
            }
        }
        self.edges = others;
        for from in &before {
            for to in &after {
                let edge = (from.clone(), to.clone());
                if self.edges.contains(&edge) {
                    return Err(format!("found two ways from `{from}` to `{to}`, expected one"));
                }
                self.edges.push(edge);
            }
        }
        self.nodes.remove(name);
        Ok(())
    }
}
