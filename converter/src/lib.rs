//! Ferrolite's host side: imports trained networks, quantizes them to int8, writes `.ferro` files,
//! and runs, compares and measures them on the host and on boards. The command `ferrolite` is a thin
//! layer over this crate: whatever it does, a program can do.
//!
//! # The short way
//!
//! ```
//! use ferrolite::compare::{Options, compare};
//! use ferrolite::convert::{ConvertOptions, convert};
//! use ferrolite::data::{Dataset, load_labels};
//! use ferrolite::model_file::input_specs;
//! use ferrolite_runtime::Target;
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
//! # let out = std::env::temp_dir().join(format!("ferrolite-doc-{}.ferro", std::process::id()));
//! let trained = format!("{folder}/mnist_cnn_float.tflite");
//! let samples = format!("{folder}/data.npz:cal_x");
//! let options =
//!     ConvertOptions { calibrate: Some(samples), target: Target::CortexM4, ..ConvertOptions::default() };
//! let converted = convert(trained.as_ref(), &options, &())?;
//! std::fs::write(&out, converted.file.bytes()).unwrap();
//!
//! // Is it still as accurate? Which layers cost most?
//! let model = converted.file.model()?;
//! let images = Dataset::load(&format!("{folder}/data.npz:test_x"), &input_specs(&model))?;
//! let labels = load_labels(&format!("{folder}/data.npz:test_y"), "")?;
//! let source = ferrolite::import::load(trained.as_ref())?.graph;
//! let options = Options { labels: Some(&labels), ..Options::default() };
//! let result = compare(&source, &model, &images, &options, &())?;
//! println!("{:?} float, {:?} int8", result.accuracy_float, result.accuracy_quantized);
//! for layer in result.most_costly().take(3) {
//!     println!("{}: {:?} dB when quantized alone", layer.name, layer.alone_sqnr_db);
//! }
//! # assert!(result.accuracy_quantized > Some(0.97));
//! # std::fs::remove_file(out).unwrap();
//! # Ok::<(), ferrolite::Error>(())
//! ```
//!
//! # Step by step
//!
//! Each step is a function of its own, and what lies between them can be looked at and changed:
//!
//! ```
//! use ferrolite::data::Dataset;
//! use ferrolite::model_file::{ModelFile, input_specs};
//! use ferrolite::quantize::{self, quantize};
//! use ferrolite::{data, emit, import, passes, run};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
//! // A graph with the author's names.
//! let mut graph = import::load(format!("{folder}/mnist_cnn_float.tflite").as_ref())?.graph;
//! import::refuse_unsupported(&graph)?;
//! passes::optimise(&mut graph);
//!
//! // Ranges from typical samples, then integers.
//! let samples = Dataset::load(&format!("{folder}/data.npz:cal_x"), &data::input_specs(&graph))?;
//! let (mut int8, report) = quantize(&graph, &samples, &quantize::Options::default())?;
//! println!("{} has the range {:?}", report.activations[0].name, report.activations[0].range);
//! passes::optimise(&mut int8);
//!
//! // The file, checked by the reader and the operators that devices have.
//! let emitted = emit::compile(&int8, &emit::Options::default())?;
//! println!("{} bytes of flash, {} of RAM", emitted.bytes.len(), emitted.arena_bytes);
//! let file = ModelFile::from_bytes("mnist.ferro", &emitted.bytes);
//!
//! // The device's bytes, on the host.
//! let model = file.model()?;
//! let images = Dataset::load(&format!("{folder}/data.npz:test_x"), &input_specs(&model))?;
//! let outputs = run::run_host(&model, &images, &run::RunOptions::default(), &|| ())?;
//! println!("the first image's scores: {:?}", outputs.real(0, 0));
//! # assert_eq!(outputs.samples.len(), 200);
//! # Ok::<(), ferrolite::Error>(())
//! ```
//!
//! # Where things are
//!
//! | to | look at |
//! |---|---|
//! | read a trained model, and see what is in it | [`import`], [`graph`], [`facts`] |
//! | run it in float | [`mod@reference`] |
//! | make it smaller and int8 | [`passes`], [`mod@quantize`] |
//! | write a file, and code for it | [`emit`], [`mod@convert`], [`bindings`], [`project`] |
//! | take over a project of TFLM | [`migrate`] |
//! | find models and take them | [`hub`] |
//! | answer requests over HTTP | [`serve`] |
//! | send a new model to devices, keep old files in use | [`fits`], [`update`], [`upgrade`] |
//! | read a file, run it, step through it | [`model_file`], [`mod@run`], [`eager`] |
//! | compare, measure, report | [`mod@compare`], [`mod@bench`], [`report`] |
//! | run it on a microcontroller's core | [`board`] |
//! | feed samples | [`data`] |

// Denied rather than forbidden for one exception: the readers that flatc generated in
// `tflite`, which no one edits and which run only behind the flatbuffers verifier.
#![deny(unsafe_code)]

pub mod aligned;
pub mod bench;
pub mod bindings;
pub mod board;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod data;
pub mod eager;
pub mod emit;
mod execute;
pub mod facts;
mod files;
pub mod fits;
pub mod hub;
pub mod import;
pub mod migrate;
pub mod model_file;
pub mod noise;
pub mod ops;
pub mod passes;
pub mod progress;
pub mod project;
pub mod quantize;
pub mod reference;
pub mod report;
pub mod run;
mod self_check;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(test)]
mod shared_models;
pub mod text;
mod tflite;
mod unsupported;
pub mod update;
pub mod upgrade;
pub mod written;

pub use ferrolite_graph::{Error, Fault, Result, error, graph};

use ferrolite_graph::parallel;
