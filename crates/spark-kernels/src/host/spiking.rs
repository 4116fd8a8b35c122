//! What spiked.

/// Values of which it is found out at once whether any is not zero.
const BLOCK: usize = 16;

/// The units of a population that spike in one step, ascending.
///
/// # Examples
/// ```
/// use spark_kernels::host::Spiking;
///
/// let mut spiking = Spiking::default();
/// spiking.find(&[0.0, 1.0, 1.0], &[false, false, true]);
/// assert_eq!(spiking.iter().collect::<Vec<_>>(), [(1, false), (2, true)]);
/// assert_eq!(spiking.values(), [0.0, 1.0, 1.0]);
///
/// let mut both = Spiking::none(1);
/// both.append(&spiking);
/// assert_eq!(both.iter().collect::<Vec<_>>(), [(2, false), (3, true)]);
/// assert_eq!(both.inhibits(), [false, false, false, true]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spiking {
    units: usize,
    active: Vec<u32>,
    /// Which units inhibit; empty where none does.
    inhibits: Vec<bool>,
}

impl Spiking {
    /// Of so many units, none.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// assert_eq!(Spiking::none(4).values(), [0.0; 4]);
    /// ```
    pub fn none(units: usize) -> Self {
        Self { units, ..Self::default() }
    }

    /// Number of units, spiking or not.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// assert_eq!(Spiking::none(4).units(), 4);
    /// ```
    pub fn units(&self) -> usize {
        self.units
    }

    /// Number of units that spike.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// assert_eq!(Spiking::none(4).count(), 0);
    /// ```
    pub fn count(&self) -> usize {
        self.active.len()
    }

    /// The units that spike, and whether they inhibit.
    ///
    /// # Examples
    /// See [`Spiking`].
    pub fn iter(&self) -> impl Iterator<Item = (usize, bool)> {
        let inhibits = |unit: usize| self.inhibits.get(unit).is_some_and(|inhibits| *inhibits);
        self.active.iter().map(move |unit| (*unit as usize, inhibits(*unit as usize)))
    }

    /// The units that spike.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// let mut spiking = Spiking::default();
    /// spiking.find(&[0.0, 1.0], &[]);
    /// assert_eq!(spiking.active(), [1]);
    /// ```
    pub fn active(&self) -> &[u32] {
        &self.active
    }

    /// Which units inhibit, spiking or not; empty where none does.
    ///
    /// # Examples
    /// See [`Spiking`].
    pub fn inhibits(&self) -> &[bool] {
        &self.inhibits
    }

    /// 1 for units that spike, else 0.
    ///
    /// # Examples
    /// See [`Spiking`].
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.units];
        self.active.iter().for_each(|unit| values[*unit as usize] = 1.0);
        values
    }

    /// Becomes those units whose value is not 0, of a population in which none inhibits if nothing is said.
    ///
    /// # Examples
    /// See [`Spiking`].
    pub fn find(&mut self, values: &[f32], inhibits: &[bool]) {
        self.units = values.len();
        if self.inhibits != inhibits {
            self.inhibits = inhibits.to_vec();
        }
        self.active.clear();
        for (block, values) in values.chunks(BLOCK).enumerate() {
            // The bits of a float without its sign are zero where it is.
            if values.iter().fold(0, |bits, value| bits | value.to_bits()) << 1 == 0 {
                continue;
            }
            let active = (0..).zip(values).filter(|(_, value)| **value != 0.0);
            self.active.extend(active.map(|(lane, _)| (block * BLOCK) as u32 + lane));
        }
    }

    /// Puts the units of another population behind these.
    ///
    /// # Examples
    /// See [`Spiking`].
    pub fn append(&mut self, other: &Self) {
        let before = self.units as u32;
        self.active.extend(other.active.iter().map(|unit| unit + before));
        self.units += other.units;
        if !self.inhibits.is_empty() || !other.inhibits.is_empty() {
            self.inhibits.resize(before as usize, false);
            self.inhibits.extend_from_slice(&other.inhibits);
            self.inhibits.resize(self.units, false);
        }
    }

    /// None of no units.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// let mut spiking = Spiking::none(3);
    /// spiking.clear();
    /// assert_eq!(spiking, Spiking::default());
    /// ```
    pub fn clear(&mut self) {
        self.units = 0;
        self.active.clear();
        self.inhibits.clear();
    }

    /// Becomes another, in the memory that is there.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::host::Spiking;
    ///
    /// let mut spiking = Spiking::default();
    /// spiking.copy(&Spiking::none(3));
    /// assert_eq!(spiking.units(), 3);
    /// ```
    pub fn copy(&mut self, other: &Self) {
        self.units = other.units;
        self.active.clone_from(&other.active);
        self.inhibits.clone_from(&other.inhibits);
    }
}
