// Written by `ferrolite convert --rust`; convert the model again instead of editing.
// The model mnist_cnn_int8_tf. With its file:
//
//     static MODEL: File = File::new(include_bytes!("….ferro"));
//     let mut net = bind(&MODEL, memory)?;
//     let outputs = net.run(&inputs);
//
// A program need not use all of it, so what is left unused is allowed to be.

#[allow(unused_imports)]
use ferrolite_runtime::{Arena, Error, Interpreter, ModelFile, OpSet, ops, typed};

// Other kernels would give the same bytes, several times slower.
const _: () = assert!(
    ferrolite_runtime::accepts(ferrolite_runtime::Target::CortexM4),
    "the model is packed for cortex-m4, and this build has the kernels of another core: build for `--target thumbv7em-none-eabihf` (or `-eabi`); or convert \
     it with `--target` for this core; the feature `foreign-kernels` of ferrolite-runtime allows it, slow as it is"
);

/// Bytes of arena that the model needs.
#[allow(dead_code)]
pub const ARENA: usize = 5_592;

/// The operators that the model uses; only these are linked.
#[allow(dead_code)]
#[rustfmt::skip]
pub const OPS: OpSet = &[ops::tuned::CONV_2D, ops::tuned::FULLY_CONNECTED, ops::MAX_POOL_2D, ops::small::SOFTMAX];

/// Bytes of the model file.
#[allow(dead_code)]
pub const MODEL_BYTES: usize = 23_568;

/// Multiply-accumulate operations of one inference.
#[allow(dead_code)]
pub const MACS: u64 = 262112;

/// The input `keras_tensor_23`, int8.
#[allow(dead_code, clippy::all)]
pub mod input0 {
    /// Dimensions, outermost first.
    pub const SHAPE: [usize; 4] = [1, 28, 28, 1];
    /// Number of elements.
    pub const LEN: usize = 784;
    /// All elements.
    pub type Array = [i8; LEN];
    pub(super) const AT: usize = 4628;
    /// Real number per integer step.
    pub const SCALE: f32 = 0.003921569;
    /// The integer that stands for zero.
    pub const ZERO_POINT: i32 = -128;
    /// The integer for a real number; at compile time, too.
    pub const fn quantize(real: f32) -> i8 {
        ferrolite_runtime::quant::quantize(real, SCALE, ZERO_POINT, -128, 127) as i8
    }
    /// The real number that an integer stands for.
    pub const fn dequantize(integer: i8) -> f32 {
        ferrolite_runtime::quant::dequantize(integer as i32, SCALE, ZERO_POINT)
    }
}

/// The output `output_0`, int8.
#[allow(dead_code, clippy::all)]
pub mod output0 {
    /// Dimensions, outermost first.
    pub const SHAPE: [usize; 2] = [1, 10];
    /// Number of elements.
    pub const LEN: usize = 10;
    /// All elements.
    pub type Array = [i8; LEN];
    pub(super) const AT: usize = 0;
    /// Real number per integer step.
    pub const SCALE: f32 = 0.00390625;
    /// The integer that stands for zero.
    pub const ZERO_POINT: i32 = -128;
    /// The integer for a real number; at compile time, too.
    pub const fn quantize(real: f32) -> i8 {
        ferrolite_runtime::quant::quantize(real, SCALE, ZERO_POINT, -128, 127) as i8
    }
    /// The real number that an integer stands for.
    pub const fn dequantize(integer: i8) -> f32 {
        ferrolite_runtime::quant::dequantize(integer as i32, SCALE, ZERO_POINT)
    }
}

/// Memory that the model works in, of the exact size. As a `static` it is zero at first and takes no flash.
#[allow(dead_code)]
pub type Memory = Arena<ARENA>;

const FINGERPRINT: typed::Fingerprint =
    typed::Fingerprint { bytes: MODEL_BYTES, checksum_at: 120, checksum: 0x589192f3 };

/// The file that this module was written with. `static MODEL: File = File::new(include_bytes!("….ferro"));` holds
/// its bytes, and is where attributes such as `link_section` say.
#[allow(dead_code)]
#[derive(Debug)]
pub struct File(ModelFile<MODEL_BYTES>);

#[allow(dead_code)]
impl File {
    /// The file, in a `static` or `const`. Any other one does not compile there.
    pub const fn new<const N: usize>(bytes: &[u8; N]) -> File {
        match bytes.first_chunk() {
            Some(file) if FINGERPRINT.fits(bytes) => File(ModelFile::new(file)),
            _ => panic!("this is not the file that the module was written with: convert again"),
        }
    }
}

/// Verifies the file and binds the memory: once, before anything runs.
#[allow(dead_code)]
pub fn bind<'a>(file: &'a File, memory: &'a mut Memory) -> Result<Net<'a>, Error> {
    bind_bytes(file.0.bytes(), memory)
}

/// As [`bind`], for the file's bytes from elsewhere, such as another flash chip: refused unless the file is the one
/// that this module was written with. They start at a multiple of 16.
#[allow(dead_code)]
pub fn bind_bytes<'a>(file: &'a [u8], memory: &'a mut Memory) -> Result<Net<'a>, Error> {
    match typed::Net::bind(file, FINGERPRINT, OPS, memory) {
        Ok(net) => Ok(Net(net)),
        Err(error) => Err(error),
    }
}

/// The model, bound to its memory. It may be sent to another task and live in a `static`.
#[allow(dead_code)]
#[derive(Debug)]
pub struct Net<'a>(typed::Net<'a, ARENA>);

#[allow(dead_code, clippy::all)]
impl<'a> Net<'a> {
    /// One inference, with copies of the inputs.
    pub fn run(&mut self, keras_tensor_23: &input0::Array) -> &output0::Array {
        self.0.settle();
        *self.0.array_mut::<_, { input0::AT }, { input0::LEN }>() = *keras_tensor_23;
        self.0.run();
        self.0.array::<_, { output0::AT }, { output0::LEN }>()
    }

    /// Begins an inference whose inputs are written where they lie, and whose ops may run one by one. If it is given up
    /// while they run, nothing of it is left.
    pub fn begin(&mut self) -> Filling<'_, 'a> {
        Filling(self.0.begin())
    }

    /// The untyped interpreter: ports by index, observers.
    pub fn into_interpreter(self) -> Interpreter<'a> {
        self.0.into_interpreter()
    }
}

/// An inference whose inputs are being written.
#[allow(dead_code)]
#[derive(Debug)]
#[must_use = "`start` it when the inputs are written"]
pub struct Filling<'n, 'a>(typed::Filling<'n, 'a, ARENA, 1>);

#[allow(dead_code, clippy::all)]
impl<'n, 'a> Filling<'n, 'a> {
    /// The input `keras_tensor_23`, to be written from end to end: what it holds before is of no use.
    pub fn keras_tensor_23(&mut self) -> &mut input0::Array {
        self.0.input::<_, 0, { input0::AT }, { input0::LEN }>()
    }

    /// Ends the writing. The error names an input that was not asked for.
    pub fn start(self) -> Result<Running<'n, 'a>, Error> {
        match self.0.start(1) {
            Ok(running) => Ok(Running(running)),
            Err(error) => Err(error),
        }
    }
}

/// An inference whose ops run: inputs are out of reach, and outputs are not there yet.
#[allow(dead_code)]
#[derive(Debug)]
#[must_use = "`step` it until it is done"]
pub struct Running<'n, 'a>(typed::Running<'n, 'a, ARENA>);

/// What a step leads to.
#[allow(dead_code)]
#[derive(Debug)]
pub enum Step<'n, 'a> {
    /// There are more ops.
    More(Running<'n, 'a>),
    /// All have run.
    Done(Done<'n, 'a>),
}

#[allow(dead_code)]
impl<'n, 'a> Running<'n, 'a> {
    /// Runs the next op.
    pub fn step(self) -> Step<'n, 'a> {
        match self.0.step() {
            Ok(done) => Step::Done(Done(done)),
            Err(running) => Step::More(Running(running)),
        }
    }

    /// Runs all ops that are left.
    pub fn finish(self) -> Done<'n, 'a> {
        Done(self.0.finish())
    }
}

/// An inference that has run.
#[allow(dead_code)]
#[derive(Debug)]
pub struct Done<'n, 'a>(typed::Done<'n, 'a, ARENA>);

#[allow(dead_code, clippy::all)]
impl Done<'_, '_> {
    /// The output `output_0`.
    pub fn output_0(&self) -> &output0::Array {
        self.0.output::<_, { output0::AT }, { output0::LEN }>()
    }
}
