//! Runs op by op: computes one operator with the device's kernels, or runs a model step by step and shows
//! every value.
//!
//! [`run_op`] computes one operator on given tensors. The operator is converted like a model of one layer and
//! run by the interpreter of the devices, so its results are a device's bytes:
//!
//! ```
//! use ferrolite::eager::{Tensor, run_op};
//! use ferrolite::graph::{Activation, FullyConnected, Op};
//!
//! // real = scale * (q - zero_point)
//! let x = Tensor::int8("x", &[1, 3], (0.5, 0), &[2, 4, -6]);
//! let w = Tensor::int8("w", &[2, 3], (0.25, 0), &[4, 0, 0, 0, 4, 4]).constant();
//! let y = Tensor::result("y", &[], (0.5, 0)); // its shape follows from x and w
//! let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
//! let y = run_op(&op, &[&x, &w], &[y])?.remove(0);
//! assert_eq!(x.real(), [1.0, 2.0, -3.0]);
//! assert_eq!(y.real(), [1.0, -1.0]); // what is stored are the integers 2 and -2
//! assert_eq!(y.integers(), [2, -2]);
//!
//! // Operands that do not fit are refused by name.
//! let wide = Tensor::result("y", &[1, 5], (0.5, 0));
//! let error = run_op(&op, &[&x, &w], &[wide]).unwrap_err();
//! assert!(error.message.starts_with("layer `fully_connected` (FULLY_CONNECTED): "), "{error}");
//! # Ok::<(), ferrolite::Error>(())
//! ```
//!
//! [`Session`] runs a finished model, one op at a time:
//!
//! ```
//! use ferrolite::eager::{Memory, Session};
//! use ferrolite::model_file::ModelFile;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let model = file.model()?;
//! let mut memory = Memory::for_model(&model);
//! let mut session = Session::new(&model, &mut memory)?;
//! session.set_input(0, &[1.5])?;
//! while let Some(layer) = session.step()? {
//!     println!("{} ({})", layer.name, layer.op);
//!     for tensor in layer.inputs.iter().chain(&layer.outputs) {
//!         println!("  {} {:?}: {:?}", tensor.name, tensor.shape, tensor.real());
//!     }
//! }
//! let sine = session.output(0)?.real()[0];
//! assert!((sine - 1.5f32.sin()).abs() < 0.1);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod op;
mod real;
mod session;
mod tensor;

pub use op::run_op;
pub use real::run_real;
pub use session::{Layer, Memory, Session};
pub use tensor::Tensor;
