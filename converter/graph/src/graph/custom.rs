//! Operators of the user's own, as the host knows them.
//!
//! What the device runs is a type that implements `ferrolite_runtime::ops::custom::Custom`. What the host has to know
//! beside it, to import, calibrate and convert a layer of that kind, is an implementation of [`CustomOperator`]. A
//! [`Registry`] holds both together. It is handed to the importers, in their options, and nothing is global: two
//! conversions with different registries may run at the same time.
//!
//! A graph keeps the operators that its layers are, and the op set that runs them, so that all that follows the import
//! needs no registry.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ferrolite_runtime::ops::custom::Custom as Device;
use ferrolite_runtime::{OpSet, Operator, ops};
use ferrolite_schema::{custom_code, custom_words, is_custom};

use super::{Graph, Op, Value};
pub use crate::float::Tensor;

/// What a model file says of a layer beside its operands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// The attributes of an ONNX node, or numbers and texts of a Keras layer's configuration.
    pub named: BTreeMap<String, Attribute>,
    /// The custom options of a layer of TensorFlow Lite, as they are in the file: often a FlexBuffer.
    pub bytes: Vec<u8>,
}

impl Attributes {
    /// A number, or a truth value as 0 or 1.
    pub fn number(&self, name: &str) -> Option<f64> {
        match *self.named.get(name)? {
            Attribute::Integer(x) => Some(x as f64),
            Attribute::Float(x) => Some(x),
            _ => None,
        }
    }
}

/// One attribute of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer; truth values are 0 and 1.
    Integer(i64),
    /// A real number.
    Float(f64),
    /// A text.
    Text(String),
    /// Several integers.
    Integers(Vec<i64>),
    /// Several real numbers.
    Floats(Vec<f64>),
}

/// How a model file calls an operator that Ferrolite does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The custom code of TensorFlow Lite.
    TensorFlowLite(&'a str),
    /// Domain and type of an ONNX node.
    Onnx {
        /// The domain; empty for the standard's own.
        domain: &'a str,
        /// The type.
        op_type: &'a str,
    },
    /// A registered class of Keras: `package>Class`, or the class alone.
    Keras(&'a str),
}

impl Source<'_> {
    /// Whether this is the operator of a name: the same custom code; the same type, with its domain and a dot in front or
    /// without; the same class, with its package or without.
    pub fn is(&self, name: &str) -> bool {
        match *self {
            Source::TensorFlowLite(code) => code == name,
            Source::Onnx { domain, op_type } => {
                op_type == name
                    || name.strip_prefix(domain).and_then(|rest| rest.strip_prefix('.')) == Some(op_type)
            }
            Source::Keras(class) => class == name || class.rsplit('>').next() == Some(name),
        }
    }
}

/// Where the scale and zero point of a custom layer's results come from. All of its operands and results are int8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scales {
    /// From the samples, as for most layers.
    Calibrated,
    /// They are those of the operands.
    Shared,
    /// They are always these.
    Prescribed {
        /// The scale, above 0.
        scale: f32,
        /// The zero point.
        zero_point: i32,
    },
}

/// A layer that is to become an op: its operands and results with their shapes and quantization.
#[derive(Clone, Debug)]
pub struct CustomLayer<'a> {
    /// The author's name for it.
    pub name: &'a str,
    /// What the model file says of it.
    pub attributes: &'a Attributes,
    /// Operands by position; none where an optional one is absent. Constants have their elements.
    pub inputs: Vec<Option<&'a Value>>,
    /// Results by position.
    pub outputs: Vec<&'a Value>,
}

/// What the device needs to run a layer. The op's operands are those of the layer that are there, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Parameter words, as the device's operator reads them.
    pub params: Vec<u32>,
    /// Scratch memory in bytes.
    pub scratch_bytes: u32,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
}

/// An operator of the user's own, as the host knows it. `Err` says in words what of a layer is not supported; who asked
/// puts the layer's name in front.
pub trait CustomOperator: Send + Sync {
    /// Whether a layer of a model file is this operator, whose name is given. The name itself has to be found where
    /// nothing else is said.
    fn recognises(&self, name: &str, source: Source<'_>) -> bool {
        source.is(name)
    }

    /// The shapes of the results, from those of the operands.
    ///
    /// # Errors
    /// In words, where operands or attributes are not supported.
    fn shapes(&self, attributes: &Attributes, inputs: &[Option<&[usize]>])
    -> Result<Vec<Vec<usize>>, String>;

    /// The results in float: what the layer means, and what int8 is measured by. Each result has as many elements as its
    /// shape says.
    fn eval(&self, attributes: &Attributes, inputs: &[Option<Tensor<'_>>]) -> Vec<Vec<f32>>;

    /// Where the results' scales come from.
    fn scales(&self, attributes: &Attributes) -> Scales {
        let _ = attributes;
        Scales::Calibrated
    }

    /// Whether an operand holds integers that stand for themselves, such as places and sizes: they are not quantized.
    fn is_index(&self, position: usize) -> bool {
        let _ = position;
        false
    }

    /// The numbers of the device's op. `constants` stores bytes in the file, at a multiple of 16, and gives their offset
    /// as the device's `Node::constants` takes it.
    ///
    /// # Errors
    /// In words, where the quantization or the shapes are not supported.
    fn prepare(
        &self,
        layer: &CustomLayer<'_>,
        constants: &mut dyn FnMut(&[u8]) -> u32,
    ) -> Result<Prepared, String>;
}

/// Both sides of one operator.
struct Registered {
    name: &'static str,
    device: Operator,
    host: Box<dyn CustomOperator>,
}

/// The custom operators that a conversion knows. Cloning it is cheap, and clones are the same registry.
///
/// ```
/// use ferrolite_graph::graph::custom::{Attributes, CustomLayer, CustomOperator, Prepared, Registry, Tensor};
/// use ferrolite_runtime::{Eval, Fault, Node, ops::custom::Custom};
///
/// struct Mirror;
/// impl Custom for Mirror {
///     const NAME: &'static str = "example.Mirror";
///     // …
/// #   fn check(node: &Node<'_>, _: &[u32]) -> Result<(), Fault> {
/// #       let bytes = node.input(0)?.bytes;
/// #       node.expect_int8(bytes, bytes)
/// #   }
/// #   fn eval(eval: &Eval<'_>, _: &[u32]) {
/// #       eval.input::<i8>(0).iter().rev().zip(eval.output::<i8>(0)).for_each(|(x, y)| y.set(x.get()));
/// #   }
/// }
///
/// struct MirrorOnHost;
/// impl CustomOperator for MirrorOnHost {
///     // …
/// #   fn shapes(&self, _: &Attributes, inputs: &[Option<&[usize]>]) -> Result<Vec<Vec<usize>>, String> {
/// #       Ok(vec![inputs[0].unwrap_or_default().to_vec()])
/// #   }
/// #   fn eval(&self, _: &Attributes, inputs: &[Option<Tensor<'_>>]) -> Vec<Vec<f32>> {
/// #       vec![inputs[0].map_or(Vec::new(), |x| x.data.iter().rev().copied().collect())]
/// #   }
/// #   fn prepare(&self, _: &CustomLayer<'_>, _: &mut dyn FnMut(&[u8]) -> u32) -> Result<Prepared, String> {
/// #       Ok(Prepared::default())
/// #   }
/// }
///
/// let registry = Registry::new().with::<Mirror>(MirrorOnHost);
/// assert_eq!(registry.names().collect::<Vec<_>>(), ["example.Mirror"]);
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<Entries>);

#[derive(Default)]
struct Entries {
    all: Vec<Arc<Registered>>,
    set: OnceLock<OpSet>,
}

impl Registry {
    /// Without operators.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// The same registry and one operator more: what the device runs, and what the host knows of it. An operator of a name
    /// that is there already takes its place.
    #[must_use]
    pub fn with<D: Device>(self, host: impl CustomOperator + 'static) -> Registry {
        let mut all: Vec<Arc<Registered>> =
            self.0.all.iter().filter(|other| other.name != D::NAME).cloned().collect();
        all.push(Arc::new(Registered {
            name: D::NAME,
            device: Operator::custom::<D>(),
            host: Box::new(host),
        }));
        Registry(Arc::new(Entries { all, set: OnceLock::new() }))
    }

    /// The operators' names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.all.iter().map(|registered| registered.name)
    }

    /// All operators of the runtime, and these.
    pub fn op_set(&self) -> OpSet {
        if self.0.all.is_empty() {
            return ops::ALL;
        }
        // Op sets are static, as firmware has them. A few hundred bytes for each registry that is used.
        self.0.set.get_or_init(|| {
            let custom = self.0.all.iter().map(|registered| registered.device);
            Vec::leak(ops::ALL.iter().copied().chain(custom).collect())
        })
    }

    /// The operator that a layer of a model file is, if one of these is it.
    pub fn find(&self, source: Source<'_>, attributes: Attributes) -> Option<Custom> {
        let entry = self.0.all.iter().find(|entry| entry.host.recognises(entry.name, source))?;
        Some(Custom { entry: entry.clone(), attributes, set: self.op_set() })
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl PartialEq for Registry {
    fn eq(&self, other: &Registry) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.all.is_empty() && other.0.all.is_empty())
    }
}

impl Eq for Registry {}

/// A layer of the user's own operator. Operands and results are the author's.
#[derive(Clone)]
pub struct Custom {
    entry: Arc<Registered>,
    attributes: Attributes,
    set: OpSet,
}

impl Custom {
    /// The operator's name.
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// The operator's code in a file.
    pub fn code(&self) -> u16 {
        custom_code(self.entry.name)
    }

    /// The parameter words of a file's op: the hash of the name, and the operator's own.
    pub fn words(&self, own: &[u32]) -> Vec<u32> {
        [&custom_words(self.entry.name)[..], own].concat()
    }

    /// What the host knows of it.
    pub fn host(&self) -> &dyn CustomOperator {
        &*self.entry.host
    }

    /// What the model file says of the layer.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custom").field("name", &self.name()).field("attributes", &self.attributes).finish()
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        self.name() == other.name() && self.attributes == other.attributes
    }
}

impl Graph {
    /// The operators that run this graph: all of the runtime's, and those of the registry that its custom layers come from.
    pub fn op_set(&self) -> OpSet {
        let set = self.nodes.iter().find_map(|node| match &node.op {
            Op::Custom(custom) => Some(custom.set),
            _ => None,
        });
        set.unwrap_or(ops::ALL)
    }
}

/// Whether a name is that of the custom op with this code and these parameter words.
pub fn is_called(name: &str, code: u16, words: &[u32]) -> bool {
    is_custom(code) && code == custom_code(name) && words.starts_with(&custom_words(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_formats_words() {
        let onnx = |domain, op_type| Source::Onnx { domain, op_type };
        assert!(Source::TensorFlowLite("acme.Shrink").is("acme.Shrink"));
        assert!(!Source::TensorFlowLite("Shrink").is("acme.Shrink"));
        assert!(onnx("acme", "Shrink").is("acme.Shrink") && onnx("acme", "Shrink").is("Shrink"));
        assert!(!onnx("other", "Shrink").is("acme.Shrink") && !onnx("acme", "Grow").is("acme.Shrink"));
        assert!(Source::Keras("acme>Shrink").is("Shrink") && Source::Keras("acme>Shrink").is("acme>Shrink"));
        assert!(!Source::Keras("acme>Shrink").is("Grow"));
    }
}
