//! Parameters that depend on the types of the two units of a synapse.

use burn::tensor::Tensor;

/// Which units are inhibitory, for rules with a parameter set for each combination of types.
///
/// A set of four is ordered by `2·post_inhibitory + pre_inhibitory`: excitatory onto excitatory, inhibitory
/// onto excitatory, excitatory onto inhibitory, inhibitory onto inhibitory. Terms of a rule see one type of
/// units at a time, as two rows for each sample: the first of excitatory, the second of inhibitory ones.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::PairTypes;
///
/// let device = Device::flex();
/// let types = PairTypes {
///     pre_inhibitory: Tensor::from_floats([0.0, 0.0, 1.0], &device),
///     post_inhibitory: Tensor::from_floats([0.0, 1.0], &device),
/// };
/// let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
///
/// let spikes = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], &device);
/// assert_eq!(values(types.split_pre(spikes)), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
/// // What an excitatory, then an inhibitory spike means for each postsynaptic unit.
/// assert_eq!(values(types.for_pre([1.0, 2.0, 3.0, 4.0])), [1.0, 3.0, 2.0, 4.0]);
/// assert_eq!(values(types.pairs([1.0, 2.0, 3.0, 4.0])), [1.0, 3.0, 1.0, 3.0, 2.0, 4.0]);
/// ```
#[derive(Clone, Debug)]
pub struct PairTypes {
    /// 1 for inhibitory presynaptic units, else 0, `[pre]`.
    pub pre_inhibitory: Tensor<1>,
    /// 1 for inhibitory postsynaptic units, else 0, `[post]`.
    pub post_inhibitory: Tensor<1>,
}

impl PairTypes {
    /// A presynaptic signal `[samples, pre]` by type, `[2·samples, pre]`: zero for units of the other one.
    ///
    /// # Examples
    /// See [`PairTypes`].
    pub fn split_pre(&self, signal: Tensor<2>) -> Tensor<2> {
        split(signal, &self.pre_inhibitory)
    }

    /// A postsynaptic signal `[samples, post]` by type, `[2·samples, post]`: zero for units of the other one.
    ///
    /// # Examples
    /// See [`PairTypes`].
    pub fn split_post(&self, signal: Tensor<2>) -> Tensor<2> {
        split(signal, &self.post_inhibitory)
    }

    /// A parameter as the two rows of [`split_pre`](Self::split_pre) meet it: for an excitatory, then for an
    /// inhibitory presynaptic unit, by postsynaptic unit, `[2, post]`.
    ///
    /// # Examples
    /// See [`PairTypes`].
    pub fn for_pre(&self, [ee, ei, ie, ii]: [f32; 4]) -> Tensor<2> {
        let post = &self.post_inhibitory;
        Tensor::stack(vec![choose(post, ee, ie), choose(post, ei, ii)], 0)
    }

    /// A parameter as the two rows of [`split_post`](Self::split_post) meet it: for an excitatory, then for
    /// an inhibitory postsynaptic unit, by presynaptic unit, `[2, pre]`.
    ///
    /// # Examples
    /// See [`PairTypes`].
    pub fn for_post(&self, [ee, ei, ie, ii]: [f32; 4]) -> Tensor<2> {
        let pre = &self.pre_inhibitory;
        Tensor::stack(vec![choose(pre, ee, ei), choose(pre, ie, ii)], 0)
    }

    /// A parameter by synapse, `[pre, post]`.
    ///
    /// # Examples
    /// See [`PairTypes`].
    pub fn pairs(&self, values: [f32; 4]) -> Tensor<2> {
        let pre: Tensor<2> = self.pre_inhibitory.clone().unsqueeze_dim(1);
        let [excitatory, inhibitory] = [0, 1].map(|row| self.for_pre(values).slice_dim(0, row..row + 1));
        excitatory * (-pre.clone() + 1.0) + inhibitory * pre
    }
}

fn split(signal: Tensor<2>, inhibitory: &Tensor<1>) -> Tensor<2> {
    let [samples, units] = signal.dims();
    let masks: Tensor<2> = Tensor::stack(vec![-inhibitory.clone() + 1.0, inhibitory.clone()], 0);
    let rows: Tensor<3> = signal.unsqueeze_dim::<3>(1) * masks.unsqueeze::<3>();
    rows.reshape([2 * samples, units])
}

/// `first` where the mask is 0 and `second` where it is 1.
fn choose(mask: &Tensor<1>, first: f32, second: f32) -> Tensor<1> {
    (-mask.clone() + 1.0) * first + mask.clone() * second
}
