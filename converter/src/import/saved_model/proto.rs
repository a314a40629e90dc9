//! The messages of a SavedModel, with the fields that Ferrolite reads.
//!
//! Source: `tensorflow/core/protobuf/{saved_model,meta_graph,saver,tensor_bundle,saved_object_graph,
//! trackable_object_graph}.proto` and
//! `tensorflow/core/framework/{graph,function,node_def,attr_value,tensor,tensor_shape,op_def}.proto`.
//! Element types (`DataType`) are kept as their numbers.

use std::collections::BTreeMap;

/// `saved_model.pb`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedModel {
    #[prost(message, repeated, tag = "2")]
    pub meta_graphs: Vec<MetaGraph>,
}

/// One graph with its signatures. A model may contain one for each set of tags.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub info: Option<MetaInfo>,
    #[prost(message, optional, tag = "2")]
    pub graph: Option<GraphDef>,
    #[prost(message, optional, tag = "3")]
    pub saver: Option<Saver>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub signatures: BTreeMap<String, Signature>,
    #[prost(message, optional, tag = "7")]
    pub objects: Option<SavedObjects>,
}

/// The Python objects of a model; only the captures of its functions are used.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SavedObjects {
    #[prost(btree_map = "string, message", tag = "2")]
    pub functions: BTreeMap<String, ConcreteFunction>,
}

/// The operands of a function besides its arguments.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ConcreteFunction {
    /// Numbers of objects, in the order of the function's last parameters.
    #[prost(int32, repeated, tag = "2")]
    pub captures: Vec<i32>,
}

/// The same objects in the checkpoint's list.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredObjects {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<StoredObject>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredObject {
    #[prost(message, repeated, tag = "2")]
    pub attributes: Vec<StoredTensor>,
}

/// A tensor of an object. The elements of a variable are called `VARIABLE_VALUE`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
}

/// The nodes that save and restore the variables.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Saver {
    #[prost(string, tag = "3")]
    pub restore_op_name: String,
}

/// A signature: named input tensors and named output tensors.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Signature {
    #[prost(btree_map = "string, message", tag = "1")]
    pub inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub outputs: BTreeMap<String, TensorInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    pub library: Option<FunctionLibrary>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FunctionLibrary {
    #[prost(message, repeated, tag = "1")]
    pub functions: Vec<FunctionDef>,
}

/// A function: its nodes, and which of their results are its own.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub nodes: Vec<NodeDef>,
    /// The tensor of each result, by the result's name.
    #[prost(btree_map = "string, string", tag = "4")]
    pub results: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub inputs: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub outputs: Vec<ArgDef>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ArgDef {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub op: String,
    /// `node`, `node:index` or, in functions, `node:result:index`; `^node` is a control dependency.
    #[prost(string, repeated, tag = "3")]
    pub inputs: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub attributes: BTreeMap<String, AttrValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AttrValue {
    #[prost(oneof = "Attr", tags = "1, 2, 3, 4, 5, 6, 7, 8, 10")]
    pub value: Option<Attr>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Attr {
    #[prost(message, tag = "1")]
    List(AttrList),
    #[prost(bytes, tag = "2")]
    Text(Vec<u8>),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(float, tag = "4")]
    Float(f32),
    #[prost(bool, tag = "5")]
    Bool(bool),
    #[prost(int32, tag = "6")]
    Type(i32),
    #[prost(message, tag = "7")]
    Shape(TensorShape),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
    #[prost(message, tag = "10")]
    Function(NameAttrList),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AttrList {
    #[prost(int64, repeated, tag = "3")]
    pub ints: Vec<i64>,
    #[prost(message, repeated, tag = "7")]
    pub shapes: Vec<TensorShape>,
    #[prost(message, repeated, tag = "9")]
    pub functions: Vec<NameAttrList>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NameAttrList {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub dims: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dim {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// A constant: raw bytes, or a list of elements, whose last one is repeated for all that are missing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    pub floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub ints: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub strings: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "10")]
    pub longs: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub bools: Vec<bool>,
    /// Bits of float16 and bfloat16.
    #[prost(int32, repeated, tag = "13")]
    pub halves: Vec<i32>,
}

/// The first entry of a tensor bundle's index, under the empty key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BundleHeader {
    #[prost(int32, tag = "1")]
    pub num_shards: i32,
    /// 0 is little-endian.
    #[prost(int32, tag = "2")]
    pub endianness: i32,
}

/// The position of a variable in a tensor bundle.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BundleEntry {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
    #[prost(int32, tag = "3")]
    pub shard: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Masked CRC-32C of the bytes.
    #[prost(fixed32, tag = "6")]
    pub crc: u32,
    /// Parts of a partitioned variable.
    #[prost(message, repeated, tag = "7")]
    pub slices: Vec<Slice>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Slice {}
