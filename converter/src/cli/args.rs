//! The arguments of the command line, and how they are parsed. Scripts rely on their names, so a change here
//! is a change of the public interface.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};
use ferrolite_schema::{Rounding, Target};

use crate::board::{BOARDS, HOST, PARTS};
use crate::data::Scale;
use crate::emit::Memory;
use crate::error::{Error, Result};
use crate::import::ImportOptions;
use crate::quantize::Calibration;

/// Explains DATA. The text stands below the options of every command that takes it.
const DATA_HELP: &str = "\
DATA is one of
  set.npz         NumPy arrays, named like the model's inputs or in0, in1, …
  set.npz:array   one array of it, for a model with one input
  set.npy         one NumPy array
  set.csv         one sample a row
  set.csv:x1,x2   the columns of these names
  set.tar         WebDataset: 0001.jpg with 0001.cls, or 0001.npy, or 0001.in0.npy …
  set.tfrecord    tf.train.Examples (also .gz): features named like the inputs, or
                  set.tfrecord:feature; numbers, encoded pictures or recordings
  set.parquet     columns in the same way, or set.parquet:x1,x2
  folder          of tf.data.Dataset.save; folder:1 names a component, or
                  pictures (.png .jpg .bmp) or recordings (.wav, 16 bits, mono);
                  in folders of their own, these are classes in the order of their names
The first axis of an array counts samples. Floats are real values; integers of the
input's own type are quantized values.";

/// Quantize trained neural networks, run them on microcontrollers, and check the results.
#[derive(Debug, Parser)]
#[command(name = "ferrolite", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "\
Typical steps:
  ferrolite convert model.tflite -o model.ferro --calibrate samples.npz
  ferrolite inspect model.ferro
  ferrolite compare model.ferro model.tflite --data test.npz --labels test.npz:labels
  ferrolite bench model.ferro --on qemu-cortex-m4")]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn a trained model into a .ferro file
    Convert(ConvertArgs),
    /// Show what is in a model, a .ferro file or a trained one: layers, shapes, memory, sizes
    Inspect(InspectArgs),
    /// Run a .ferro file on samples
    Run(RunArgs),
    /// Compare a .ferro file with the model that it was made from
    Compare(CompareArgs),
    /// Measure a .ferro file: instructions, time, memory
    Bench(BenchArgs),
    /// List the boards that models can run on
    Boards(BoardsArgs),
    /// Write a firmware project for a board, with a model in it, that builds and runs at once
    New(NewArgs),
    /// Turn a project of TensorFlow Lite Micro, or an ESPHome wake word, into one of Ferrolite, and say what differs
    Migrate(MigrateArgs),
    /// Gather what a part of a large data set says about a model, for `convert --statistics`
    Statistics(StatisticsArgs),
    /// Tell whether an update of a model fits a firmware that is in the field
    Fits(FitsArgs),
    /// Write a .ferro file of an earlier ferrolite anew, and say what was changed
    Upgrade(UpgradeArgs),
    /// Make a signed update of a .ferro file, for devices with model slots
    Sign(SignArgs),
    /// Serve a folder of models over HTTP: TensorFlow Serving's and KServe's REST interfaces, and updates for devices
    Serve(ServeArgs),
    /// Find models, check them, take them: an index with licences, hashes, vectors, accuracy and costs by board
    Hub(HubArgs),
    /// Print a script with which a shell completes these commands and options
    Completions(CompletionsArgs),
    /// Print a manual page, of ferrolite or of one of its commands
    Man(ManArgs),
}

impl Command {
    /// Whether the command prints one JSON object on stdout instead of text.
    pub fn json(&self) -> bool {
        match self {
            Command::Convert(args) => args.json,
            Command::Statistics(args) => args.json,
            Command::Inspect(args) => args.json,
            Command::Run(args) => args.json,
            Command::Compare(args) => args.json,
            Command::Bench(args) => args.json,
            Command::Boards(args) => args.json,
            Command::New(args) => args.json,
            Command::Migrate(args) => args.json,
            Command::Fits(args) => args.json,
            Command::Upgrade(args) => args.json,
            Command::Sign(args) => args.json,
            Command::Serve(args) => args.json,
            Command::Hub(args) => match &args.command {
                HubCommand::List(args) => args.json,
                HubCommand::Show(args) => args.json,
                HubCommand::Get(args) => args.json,
                HubCommand::Run(args) => args.json,
                HubCommand::Index(args) => args.json,
            },
            Command::Completions(_) | Command::Man(_) => false,
        }
    }
}

/// Arguments of `ferrolite convert`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct ConvertArgs {
    /// The trained model: .tflite, .onnx, .keras, .h5, a SavedModel directory, or TensorFlow 1's .pb or .meta
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// What the model's file leaves open.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The file to write: .ferro, or .tflite for the same int8 model in TensorFlow Lite's format
    #[arg(short, long, value_name = "OUT.ferro")]
    pub output: PathBuf,
    /// Typical samples, 100 or more; needed to quantize a float model, unless it was trained with fake
    /// quantization of all layers
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<String>,
    /// Instead of --calibrate, what `ferrolite statistics` gathered of the parts of a data set: all of its files, of the
    /// last round
    #[arg(long, value_name = "PART", num_args = 1.., conflicts_with = "calibrate")]
    pub statistics: Vec<PathBuf>,
    /// How the range of each layer follows from the samples: minmax, moving-average, percentile:99.99
    /// (any share), entropy, mse; or auto, which holds every fifth sample back, tries all of these, equalized
    /// channels, clipped weights and corrected biases on them, and keeps what lowers the error
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = str::parse::<Calibration>)]
    pub calibration: Calibration,
    /// The core to make it fast for; results are the same on all of them
    #[arg(long, value_name = "T", default_value = "portable", value_parser = target_parser())]
    pub target: Target,
    /// Type of a float model's inputs and outputs in the file
    #[arg(long, value_name = "TYPE", default_value = "int8", value_parser = ["int8", "float"])]
    pub io: String,
    /// How sums are scaled down: double as TensorFlow Lite Micro does, or single
    #[arg(long, value_name = "HOW", default_value = "double", value_parser = rounding_parser())]
    pub rounding: Rounding,
    /// Also write a Rust module with the arena size and the operators of this model
    #[arg(long, value_name = "OUT.rs")]
    pub rust: Option<PathBuf>,
    /// Also write a C header with the model's types and functions, and its data into the `.c` beside it
    #[arg(long, value_name = "OUT.h")]
    pub c: Option<PathBuf>,
    /// Also write a page about the model: sizes, graph, memory over time, and, if it was calibrated, what
    /// each layer costs
    #[arg(long, value_name = "OUT.html")]
    pub report: Option<PathBuf>,
    /// Also report total flash and RAM, with the runtime's code and stack on this board (`ferrolite boards`),
    /// or with those from a file that `bench --json` wrote
    #[arg(long, value_name = "BOARD")]
    pub bench: Option<String>,
    /// Fail with exit code 3 if the file is larger: a number of bytes, or a number followed by K or M. If
    /// room remains, 3x3 convolutions for Cortex-M4, M7 and M33 use Winograd's algorithm, which is faster and
    /// larger; without a budget they may add 40K
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub flash_budget: Option<u64>,
    /// Fail with exit code 3 if the arena is larger: a number of bytes, or a number followed by K or M
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub ram_budget: Option<u64>,
    /// A memory that the arena may use, and how many bytes of it; once for each memory, up to four, the fastest first:
    /// --memory dtcm=64K --memory sram=256K. The planner puts what is read and written most into the first; firmware
    /// gives one slice for each with `Interpreter::with_memories`
    #[arg(long, value_name = "NAME=N", value_parser = parse_memory, action = clap::ArgAction::Append)]
    pub memory: Vec<Memory>,
    /// What the pixels of pictures become: 0..255, 0..1, -1..1, or imagenet (0..1 minus ImageNet's means,
    /// divided by its deviations); by default chosen from the model's first layers or its input's range
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = str::parse::<Scale>)]
    pub scale: Option<Scale>,
    /// Turn a model over a window of a signal into one over the signal: each inference takes the frames that are new,
    /// and answers what the model would for the window that ends with them. Samples of --calibrate are windows
    #[arg(long)]
    pub streaming: bool,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Replace output files that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The file that an earlier ferrolite wrote
    #[arg(value_name = "OLD.ferro")]
    pub file: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "NEW.ferro")]
    pub output: PathBuf,
    /// Replace an output file that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite statistics`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct StatisticsArgs {
    /// The trained model, the same file on all machines
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// What the model's file leaves open.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The samples of this part
    #[arg(long, value_name = "DATA")]
    pub calibrate: String,
    /// The file to write
    #[arg(short, long, value_name = "PART")]
    pub output: PathBuf,
    /// The files of the round before, those of all parts; left out in the first round
    #[arg(long, value_name = "PART", num_args = 1..)]
    pub statistics: Vec<PathBuf>,
    /// The number of this part, and how many there are, so that `convert` notices a missing one
    #[arg(long, value_name = "K/N", value_parser = parse_shard)]
    pub shard: Option<(u64, u64)>,
    /// How the range of each layer follows from the samples, as `convert` will be told
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = str::parse::<Calibration>)]
    pub calibration: Calibration,
    /// Type of the model's inputs and outputs, as `convert` will be told
    #[arg(long, value_name = "TYPE", default_value = "int8", value_parser = ["int8", "float"])]
    pub io: String,
    /// What the pixels of pictures become: 0..255, 0..1, -1..1, or imagenet
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = str::parse::<Scale>)]
    pub scale: Option<Scale>,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Replace an output file that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// A part's number among so many.
fn parse_shard(text: &str) -> std::result::Result<(u64, u64), String> {
    let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let numbers = numbers.filter(|&(k, n): &(u64, u64)| (1..=n).contains(&k) && n <= 1 << 20);
    numbers.ok_or_else(|| "give the number of the part and that of all, such as 3/8".into())
}

/// What a user can specify about a trained model where its file leaves it open.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// The signature of a SavedModel or a .tflite file that has several; left out, `convert` makes those that work on the same variables entry
    /// points of one file, and `inspect` and `compare` take the first of them
    #[arg(long, value_name = "NAME")]
    pub signature: Option<String>,
    /// Shape of an input, batch included, if the file leaves dimensions open; once for each input
    #[arg(long = "input-shape", value_name = "NAME=1,28,28,1", value_parser = parse_input_shape)]
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// Value of an input that is a constant in practice, which then is no input of the converted model: one number for all
    /// elements or one for each, with commas between them; once for each input
    #[arg(long = "input-value", value_name = "NAME=V", value_parser = parse_input_value, allow_hyphen_values = true)]
    pub input_values: Vec<(String, String)>,
    /// What a graph of TensorFlow 1 (.pb, .meta) begins with: names of nodes, with commas between them; its placeholders
    /// where they are left out
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// What a graph of TensorFlow 1 ends at; what no node reads where they are left out
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub outputs: Vec<String>,
    /// End the model at this tensor, or at the results of this layer, and leave out what is behind; once for each output
    #[arg(long, value_name = "TENSOR", action = clap::ArgAction::Append)]
    pub cut: Vec<String>,
    /// An input and an output that are one state: the model keeps it, and each inference begins with what the one before
    /// left; once for each state. It begins with zeros
    #[arg(long = "state", value_name = "IN=OUT", value_parser = parse_state)]
    pub states: Vec<(String, String)>,
}

impl SourceArgs {
    /// The same settings, as the importers take them.
    pub fn options(&self) -> ImportOptions {
        ImportOptions {
            signature: self.signature.clone(),
            input_shapes: self.input_shapes.clone(),
            input_values: self.input_values.clone(),
            cut: self.cut.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            states: self.states.clone(),
            ..ImportOptions::default()
        }
    }
}

/// Arguments of `ferrolite inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model: a .ferro file, or any format that `convert` takes
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What a trained model's file leaves open.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite run`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct RunArgs {
    /// The converted model
    #[arg(value_name = "FILE.ferro")]
    pub file: PathBuf,
    /// The samples to run it on; left out for a program without inputs, which is run once
    #[arg(long, value_name = "DATA")]
    pub input: Option<String>,
    /// The program to run, of a file with several entry points; by default its first. `inspect` lists them
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// Write the outputs as stored, as arrays out0, out1, … with a leading sample axis, and the real numbers
    /// that they stand for under the outputs' names
    #[arg(long, value_name = "OUT.npz")]
    pub output: Option<PathBuf>,
    /// Write every layer's output for the first sample, by layer name
    #[arg(long, value_name = "OUT.npz")]
    pub layers: Option<PathBuf>,
    /// Keep the model's state from sample to sample instead of starting afresh
    #[arg(long)]
    pub sequence: bool,
    /// What variables hold at first instead of what the model says: arrays under their names, as stored or as real
    /// numbers; `inspect` lists the variables
    #[arg(long, value_name = "STATE.npz")]
    pub state: Option<PathBuf>,
    /// Write what the variables hold after the last sample, as --state takes it
    #[arg(long, value_name = "OUT.npz")]
    pub state_output: Option<PathBuf>,
    /// The board to run on, or several with commas between them, whose answers must be the same
    #[arg(long = "on", value_name = "BOARD", default_value = "host", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(board_names()))]
    pub boards: Vec<String>,
    /// What the pixels of pictures become: 0..255, 0..1, -1..1, or imagenet (0..1 minus ImageNet's means,
    /// divided by its deviations); by default chosen from the model's first layers or its input's range
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = str::parse::<Scale>)]
    pub scale: Option<Scale>,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Replace output files that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite compare`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct CompareArgs {
    /// The converted model
    #[arg(value_name = "FILE.ferro")]
    pub file: PathBuf,
    /// The model that it was made from
    #[arg(value_name = "SOURCE_MODEL")]
    pub source: PathBuf,
    /// What the model's file leaves open.
    #[command(flatten)]
    pub source_options: SourceArgs,
    /// The program to compare with the signature of its name, of a file with several entry points; as --signature
    #[arg(long, value_name = "NAME", conflicts_with = "signature")]
    pub entry: Option<String>,
    /// The samples to compare on
    #[arg(long, value_name = "DATA")]
    pub data: String,
    /// The right answers: file.npz:array, .npy, file.csv:column, a folder of classes, or the name of an array
    /// beside the data; left out, they are the folders that the samples lie in
    #[arg(long, value_name = "ARRAY")]
    pub labels: Option<String>,
    /// The board that runs the converted model, or several with commas between them, whose answers must be the same
    #[arg(long = "on", value_name = "BOARD", default_value = "host", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(board_names()))]
    pub boards: Vec<String>,
    /// Also write a page about the comparison: sizes, accuracy, what each layer costs, graph, memory, confusion
    #[arg(long, value_name = "OUT.html")]
    pub report: Option<PathBuf>,
    /// What the pixels of pictures become: 0..255, 0..1, -1..1, or imagenet (0..1 minus ImageNet's means,
    /// divided by its deviations); by default chosen from the model's first layers or its input's range
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = str::parse::<Scale>)]
    pub scale: Option<Scale>,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Replace output files that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The converted model
    #[arg(value_name = "FILE.ferro")]
    pub file: PathBuf,
    /// The program to measure, of a file with several entry points; by default its first
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// The board to measure on, or several with commas between them; host, or with --lock the boards of the lock, where it
    /// is left out
    #[arg(long = "on", value_name = "BOARD", value_delimiter = ',', value_parser = PossibleValuesParser::new(board_names()))]
    pub boards: Vec<String>,
    /// Estimate time and energy on a board that one can buy (nucleo-l4r5zi); an emulator of its core runs the model
    #[arg(long = "board", value_name = "BOARD", value_parser = PossibleValuesParser::new(part_names()),
          conflicts_with_all = ["boards", "lock"])]
    pub part: Option<String>,
    /// Estimate the time of an inference at this clock of the core (120MHz), from modelled cycles
    #[arg(long, value_name = "CLOCK", value_parser = parse_clock)]
    pub clock: Option<f64>,
    /// Cycles that each 32-bit word of data read from flash waits, in the estimate
    #[arg(long, value_name = "N", default_value_t = 0, requires = "clock")]
    pub flash_wait: u32,
    /// Write what an inference costs on the board to this file; with --check, compare with it
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Fail where a figure is more than in the lock: instructions and bytes by 1 %, modelled cycles by 5 %
    #[arg(long, requires = "lock")]
    pub check: bool,
    /// How much figures may grow with --check, in percent of what the lock says
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, requires = "check")]
    pub tolerance: Option<f64>,
    /// Replace a file that Ferrolite did not write
    #[arg(long, requires = "lock")]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite boards`.
#[derive(Debug, Args)]
pub struct BoardsArgs {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite new`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct NewArgs {
    /// The project's folder; its last part is the project's name
    #[arg(value_name = "APP")]
    pub app: PathBuf,
    /// The board, one that can `new` (`ferrolite boards`)
    #[arg(long, value_name = "BOARD")]
    pub board: String,
    /// The model: a .ferro file, or any format that `convert` takes
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// The project's language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = ["rust", "c"])]
    pub lang: String,
    /// Typical samples, to quantize a float model; the first becomes the project's sample
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<String>,
    /// Ferrolite's source tree, or its folder `runtime`, where this command was not built from it
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite migrate`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct MigrateArgs {
    /// The old project's folder, one of its sources, a .tflite file, or the JSON manifest of an ESPHome wake word
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The new project's folder; several models have a folder each in it. Left out, the report is printed and nothing
    /// is written
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// The board, one that can `new` (`ferrolite boards`)
    #[arg(long, value_name = "BOARD", default_value = "qemu-cortex-m4")]
    pub board: String,
    /// The new project's language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = ["rust", "c"])]
    pub lang: String,
    /// Typical samples, to quantize a float model; the first becomes the project's sample
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<String>,
    /// Ferrolite's source tree, or its folder `runtime`, where this command was not built from it
    #[arg(long, value_name = "PATH")]
    pub runtime: Option<PathBuf>,
    /// Treat every warning as an error: exit with 1 and write nothing
    #[arg(long)]
    pub strict: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite fits`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("running").args(["firmware", "of"]).required(true).multiple(true))]
pub struct FitsArgs {
    /// The new model: a .ferro file, or an update that `sign` wrote
    #[arg(value_name = "UPDATE")]
    pub update: PathBuf,
    /// The firmware's ELF file, in which its model and its list of operators are found
    #[arg(long, value_name = "FIRMWARE.elf")]
    pub firmware: Option<PathBuf>,
    /// The .ferro file that the firmware was built with, where there is no ELF file or that has several
    #[arg(long, value_name = "OLD.ferro")]
    pub of: Option<PathBuf>,
    /// Bytes of a slot: a number, or a number followed by K or M
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub slot: Option<u64>,
    /// The public key that the firmware holds, as `sign` prints it: the update's signature is checked by it
    #[arg(long, value_name = "HEX", value_parser = parse_public_key)]
    pub public_key: Option<[u8; 32]>,
    /// Bytes of arena that the firmware has, where these are more than its model needs
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub arena: Option<u64>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The model
    #[arg(value_name = "FILE.ferro")]
    pub file: PathBuf,
    /// The update to write: a signed manifest, and the file behind it
    #[arg(short, long, value_name = "OUT.update")]
    pub output: PathBuf,
    /// Its version: devices take none that is not above that of their model
    #[arg(long, value_name = "N")]
    pub version: u32,
    /// A file of 32 random bytes, which stays secret (head -c 32 /dev/urandom > key.bin)
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Replace an output file that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
DIR/MODEL/1/model.ferro is version 1 of MODEL, DIR/MODEL.ferro is version 1, too; the newest version answers.
Updates that `ferrolite sign` wrote (.update) lie beside them. The folder may change while the server runs.")]
pub struct ServeArgs {
    /// The folder with the models
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Address and port to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8501")]
    pub http: String,
    /// The server's certificate chain, in PEM: HTTPS instead of HTTP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Most bytes of a request's body: a number, or a number followed by K or M
    #[arg(long, value_name = "N", default_value = "16M", value_parser = parse_size)]
    pub max_body: u64,
    /// Most seconds of a request
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// Most requests at once; more are refused with 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests: u32,
    /// Most open sequences of models with state
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_sequences: u32,
    /// Threads that run each model; as many as there are cores, where it is left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Seconds between two looks at the folder
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_seconds)]
    pub poll: Duration,
    /// Most seconds that requests have to end after SIGTERM or Ctrl+C
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    pub grace: Duration,
    /// The public key of updates, as `sign` prints it: others are not offered to devices
    #[arg(long, value_name = "HEX", value_parser = parse_public_key)]
    pub public_key: Option<[u8; 32]>,
    /// Print one JSON object instead of text, when the server is ready
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite hub`.
#[derive(Debug, Args)]
#[command(after_help = "\
INDEX is a folder with an index.json, such a file, its address (http, https), or one of the words kagglehub and
huggingface for what these have downloaded; without it, it is the hub that comes with ferrolite, or FERROLITE_HUB.")]
pub struct HubArgs {
    /// The command to run.
    #[command(subcommand)]
    pub command: HubCommand,
}

/// The commands of `ferrolite hub`.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// List the models
    List(HubListArgs),
    /// Show all that is known of a model
    Show(HubShowArgs),
    /// Take a model: check its SHA-256, convert it, run its vectors, write the .ferro file
    Get(HubGetArgs),
    /// Take a model and run it on samples
    Run(HubRunArgs),
    /// Write a folder's index.json from its entries and their files
    Index(HubIndexArgs),
}

/// Arguments of `ferrolite hub list`.
#[derive(Debug, Args)]
pub struct HubListArgs {
    /// The hub
    #[arg(long, value_name = "INDEX", env = "FERROLITE_HUB")]
    pub index: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite hub show`.
#[derive(Debug, Args)]
pub struct HubShowArgs {
    /// The model's name
    pub name: String,
    /// The hub
    #[arg(long, value_name = "INDEX", env = "FERROLITE_HUB")]
    pub index: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite hub get`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct HubGetArgs {
    /// The model's name
    pub name: String,
    /// The hub
    #[arg(long, value_name = "INDEX", env = "FERROLITE_HUB")]
    pub index: Option<String>,
    /// The file to write; the last part of NAME with .ferro, where it is left out
    #[arg(short, long, value_name = "OUT.ferro")]
    pub output: Option<PathBuf>,
    /// Also write the names of the classes, a line each
    #[arg(long, value_name = "OUT.txt")]
    pub labels: Option<PathBuf>,
    /// The core to make it fast for; results are the same on all of them
    #[arg(long, value_name = "T", default_value = "portable", value_parser = target_parser())]
    pub target: Target,
    /// Typical samples, for a float model
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<String>,
    /// End the model at this tensor, or at the results of this layer: a backbone's features
    #[arg(long, value_name = "TENSOR", action = clap::ArgAction::Append)]
    pub cut: Vec<String>,
    /// Replace output files that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite hub run`.
#[derive(Debug, Args)]
#[command(after_help = DATA_HELP)]
pub struct HubRunArgs {
    /// The model's name
    pub name: String,
    /// The hub
    #[arg(long, value_name = "INDEX", env = "FERROLITE_HUB")]
    pub index: Option<String>,
    /// The samples to run it on
    #[arg(long, value_name = "DATA")]
    pub input: String,
    /// Write the outputs, as `run --output` does
    #[arg(long, value_name = "OUT.npz")]
    pub output: Option<PathBuf>,
    /// Keep the model's state from sample to sample instead of starting afresh
    #[arg(long)]
    pub sequence: bool,
    /// Typical samples, for a float model
    #[arg(long, value_name = "DATA")]
    pub calibrate: Option<String>,
    /// What the pixels of pictures become, see `run --help`
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = str::parse::<Scale>)]
    pub scale: Option<Scale>,
    /// Replace output files that Ferrolite did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite hub index`.
#[derive(Debug, Args)]
pub struct HubIndexArgs {
    /// The hub's folder, which has a folder with an entry.json for each model
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Write nothing, and fail where the index is not what it would be
    #[arg(long)]
    pub check: bool,
    /// A folder with files of models that lie elsewhere, found by their SHA-256; the figures of others stay as they are
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// Measure what an inference costs on this board that one can buy, once for each (`ferrolite boards`); left out, on
    /// those that the index has
    #[arg(long = "board", value_name = "BOARD", value_parser = PossibleValuesParser::new(part_names()))]
    pub boards: Vec<String>,
    /// Leave the costs on boards as they are, where there is no QEMU to measure them
    #[arg(long, conflicts_with = "boards")]
    pub no_boards: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ferrolite completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `ferrolite man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command; left out, the page is that of ferrolite
    pub command: Option<String>,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Run this command.
    Run(Box<Cli>),
    /// Print this text: help or version.
    Print(String),
}

/// Parses the arguments of a command line, the program's name first. A wrong argument becomes an error of one
/// line with a help of one line.
pub fn parse<I, T>(words: I) -> Result<Request>
where
    I: IntoIterator<Item = T>,
    T: Into<std::ffi::OsString> + Clone,
{
    let words: Vec<std::ffi::OsString> = words.into_iter().map(Into::into).collect();
    match Cli::try_parse_from(&words) {
        Ok(cli) => Ok(Request::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Request::Print(error.render().to_string()))
            }
            _ => Err(usage_error(&error, &words)),
        },
    }
}

fn usage_error(error: &clap::Error, words: &[std::ffi::OsString]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(list)) if !list.is_empty() => Some(list.join(", ")),
        _ => None,
    };
    let rendered = error.render().to_string();
    let first = rendered.lines().next().unwrap_or_default();
    let mut message = first.trim_start_matches("error: ").trim_end_matches(':').to_string();
    let help = match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            message = "a command is missing".into();
            let command = Cli::command();
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            format!("give one of {}; `ferrolite --help` explains them", names.join(", "))
        }
        ErrorKind::MissingRequiredArgument => {
            message = format!("missing: {}", text(ContextKind::InvalidArg).unwrap_or_default());
            see_help(words)
        }
        _ => {
            let known = text(ContextKind::ValidValue).or_else(|| text(ContextKind::ValidSubcommand));
            let near =
                [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
                    .into_iter()
                    .find_map(text);
            match (known, near) {
                (Some(known), _) => format!("known are {known}"),
                (None, Some(near)) => format!("did you mean {}?", near.replace(", ", " or ")),
                (None, None) => see_help(words),
            }
        }
    };
    Error::usage(message).help(help)
}

/// Refers to the help of the command whose arguments are wrong.
fn see_help(words: &[std::ffi::OsString]) -> String {
    let command = Cli::command();
    match words.get(1).and_then(|word| command.find_subcommand(word)) {
        Some(command) => format!("`ferrolite {} --help` lists the arguments", command.get_name()),
        None => "`ferrolite --help` lists the arguments".into(),
    }
}

/// What `bench --board` takes.
fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// What `--on` takes; the first is this computer.
fn board_names() -> Vec<&'static str> {
    std::iter::once(HOST).chain(BOARDS.iter().map(|board| board.name)).collect()
}

fn target_parser() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(Target::ALL.iter().map(|t| t.name())).map(|name| {
        let found = Target::ALL.iter().find(|t| t.name() == name);
        found.copied().unwrap_or(Target::Portable)
    })
}

fn rounding_parser() -> impl TypedValueParser<Value = Rounding> {
    PossibleValuesParser::new(Rounding::ALL.iter().map(|r| r.name())).map(|name| {
        let found = Rounding::ALL.iter().find(|r| r.name() == name);
        found.copied().unwrap_or(Rounding::Double)
    })
}

/// Parses `NAME=1,28,28,1`. A name may contain `=`; a shape does not.
fn parse_input_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    let shape = parts.and_then(|(name, shape)| {
        let shape: Option<Vec<usize>> =
            shape.split(',').map(|d| d.trim().parse().ok().filter(|&d| d > 0)).collect();
        Some((name.to_string(), shape?))
    });
    shape.ok_or_else(|| "a name and sizes above 0 are needed, such as image=1,28,28,1".to_string())
}

/// Parses `NAME=V`. A name may contain `=`; a value does not.
fn parse_input_value(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').filter(|(name, value)| !name.is_empty() && !value.trim().is_empty());
    let parts = parts.map(|(name, value)| (name.to_string(), value.trim().to_string()));
    parts.ok_or_else(|| "a name and a value are needed, such as sr=16000".to_string())
}

/// Parses `INPUT=OUTPUT`.
fn parse_state(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(input, output)| !input.is_empty() && !output.is_empty());
    let names = parts.map(|(input, output)| (input.to_string(), output.to_string()));
    names.ok_or_else(|| "the names of an input and an output are needed, such as h_in=h_out".to_string())
}

/// Parses a tolerance in percent, of at least 0; the `%` may be left out.
fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    percent
        .filter(|percent| percent.is_finite() && *percent >= 0.0)
        .ok_or_else(|| "a tolerance is a number of percent, 0 or more".to_string())
}

/// Parses a frequency in Hz: a number and then `Hz`, `kHz`, `MHz` or `GHz`. The `Hz` of the last three may be
/// left out.
fn parse_clock(text: &str) -> Result<f64, String> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix("hz").unwrap_or(&lower);
    let (digits, unit) = match number.as_bytes() {
        [.., b'k'] => (&number[..number.len() - 1], 1e3),
        [.., b'm'] => (&number[..number.len() - 1], 1e6),
        [.., b'g'] => (&number[..number.len() - 1], 1e9),
        _ => (number, 1.0),
    };
    let clock = digits.trim().parse::<f64>().ok().map(|number| number * unit);
    clock
        .filter(|clock| clock.is_finite() && *clock > 0.0)
        .ok_or_else(|| "a clock is a number above 0, such as 120MHz or 32768Hz".to_string())
}

/// Parses a number of bytes: digits, and then `K` (1024) or `M` (1024²) if wanted.
fn parse_memory(text: &str) -> Result<Memory, String> {
    let (name, bytes) =
        text.split_once('=').ok_or("a name and a number of bytes are needed, such as dtcm=64K")?;
    let bytes = u32::try_from(parse_size(bytes)?).ok().filter(|bytes| (16..=1 << 30).contains(bytes));
    let bytes = bytes.ok_or("a memory has 16 bytes to 1024M")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err("a memory's name is of letters, digits, - and _".into());
    }
    Ok(Memory { name: name.into(), bytes })
}

/// A time in seconds, more than none and at most a day.
fn parse_seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0);
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "seconds are a number above 0, at most 86400".to_string())
}

/// 32 bytes as hexadecimal digits.
fn parse_public_key(text: &str) -> Result<[u8; 32], String> {
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let digits = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = text.as_bytes().as_chunks().0.iter().map(byte).collect();
    bytes
        .filter(|_| digits)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "64 hexadecimal digits are needed, as `ferrolite sign` prints them".to_string())
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes() {
        [.., b'k' | b'K'] => (&text[..text.len() - 1], 1 << 10),
        [.., b'm' | b'M'] => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| "a number of bytes is needed, such as 16384, 64K or 1M".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        std::iter::once("ferrolite").chain(line.split_whitespace()).map(str::to_string).collect()
    }

    fn command(line: &str) -> Command {
        match parse(words(line)).unwrap() {
            Request::Run(cli) => cli.command,
            Request::Print(text) => panic!("{line} printed {text}"),
        }
    }

    #[test]
    fn clap_finds_the_definitions_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_word_of_the_design_is_read() {
        let Command::Convert(args) = command(
            "convert m.tflite -o m.ferro --calibrate c.npz:x --calibration percentile:99.9 \
             --target cortex-m55 --io float --rounding single \
             --rust m.rs --c m.h --report m.html --flash-budget 64K --ram-budget 1M --json",
        ) else {
            panic!("not convert")
        };
        assert_eq!(
            (args.target, args.rounding, args.io.as_str()),
            (Target::CortexM55, Rounding::Single, "float")
        );
        assert_eq!((args.flash_budget, args.ram_budget, args.json), (Some(65536), Some(1 << 20), true));
        assert_eq!(args.calibrate.as_deref(), Some("c.npz:x"));
        assert_eq!(args.calibration, Calibration::Percentile(99.9));
        let Command::Run(args) = command(
            "run m.ferro --input d.npy --output o.npz --layers l.npz --sequence --on qemu-riscv32 --json",
        ) else {
            panic!("not run")
        };
        assert_eq!((args.boards.as_slice(), args.sequence), (&["qemu-riscv32".to_string()][..], true));
        for line in [
            "convert m.tflite -o m.ferro",
            "inspect m.ferro --json",
            "compare m.ferro m.tflite --data d.csv --labels d.npz:y --on host --report r.html --json",
            "bench m.ferro --on qemu-cortex-m0 --json",
            "bench m.ferro --on qemu-cortex-m4 --clock 120MHz --flash-wait 3",
            "bench m.ferro --board nucleo-l4r5zi --json",
            "bench m.ferro --board pico --clock 200MHz --flash-wait 3",
            "bench m.ferro --on qemu-cortex-m4 --lock m.lock",
            "bench m.ferro --lock m.lock --check --tolerance 2.5% --json",
            "boards --json",
            "fits b.ferro --firmware a.elf --slot 64K --json",
            "fits b.update --of a.ferro --firmware a.elf --arena 4096",
            "sign m.ferro -o m.update --version 7 --key key.bin --json",
            "migrate old -o new --board pico --lang c --json",
            "convert m -o o --calibrate pictures --scale -1..1 --strict --force --bench qemu-cortex-m4",
            "run m.ferro --input pictures --scale 0..255 --strict --force",
            "compare m.ferro m.onnx --data pictures --scale imagenet --strict --force",
            "convert m -o m.ferro --signature serving_default --input-shape x=1,28,28,1 --input-shape y:0=1,3",
            "convert m -o m.ferro --input-value sr=16000 --input-value scale:0=1,-2.5",
            "inspect m --input-value sr=16000 --json",
            "compare m.ferro m --data d.npz --input-value=sr=-1",
        ] {
            command(line);
        }
    }

    #[test]
    fn shapes_belong_to_names() {
        assert_eq!(parse_input_shape("a=b:0=1, 28"), Ok(("a=b:0".into(), vec![1, 28])));
        for bad in ["x", "=1", "x=", "x=1,0", "x=1,-1", "x=1x2"] {
            assert!(parse_input_shape(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_belong_to_names() {
        assert_eq!(parse_input_value("a=b:0=1, 28"), Ok(("a=b:0".into(), "1, 28".into())));
        for bad in ["x", "=1", "x=", "x= "] {
            assert!(parse_input_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn clocks_have_units() {
        for (text, hz) in
            [("120MHz", 120e6), ("32768Hz", 32768.0), ("1.2ghz", 1.2e9), ("64M", 64e6), ("8 kHz", 8e3)]
        {
            assert_eq!(parse_clock(text), Ok(hz), "{text}");
        }
        for text in ["", "MHz", "0", "-1MHz", "nan", "inf", "é"] {
            assert!(parse_clock(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_words_are_one_line_each() {
        let cases = [
            ("", "a command is missing", "convert, inspect, run, compare, bench, boards"),
            ("convret m.tflite", "unrecognized subcommand 'convret'", "convert?"),
            ("convert m.tflite", "missing: --output <OUT.ferro>", "ferrolite convert --help"),
            ("convert", "missing: ", "ferrolite convert --help"),
            ("compare m.ferro m.onnx", "missing: --data <DATA>", "ferrolite compare --help"),
            (
                "bench m.ferro --on qemu-z80",
                "invalid value 'qemu-z80'",
                "host, qemu-cortex-m0, qemu-cortex-m3",
            ),
            ("bench m.ferro --clock fast", "a clock is a number", "ferrolite bench --help"),
            ("bench m.ferro --flash-wait 3", "missing: --clock", "ferrolite bench --help"),
            ("convert m -o o --target z80", "invalid value 'z80'", "portable, cortex-m0"),
            ("convert m -o o --calibration best", "known are auto, minmax", "convert --help"),
            ("convert m -o o --io int4", "invalid value 'int4'", "int8, float"),
            ("run m.ferro --input d --scale 0-255", "known are 0..255, 0..1, -1..1", "run --help"),
            ("convert m -o o --flash-budget big", "64K or 1M", "ferrolite convert --help"),
            ("convert m -o o --flash-budget 99999999999999999999M", "64K or 1M", "convert --help"),
            ("inspect m.ferro --jsn", "unexpected argument '--jsn'", "did you mean --json?"),
            ("inspect a.ferro b.ferro", "unexpected argument 'b.ferro'", "--help"),
            ("inspect a.ferro --json --json", "cannot be used multiple times", "inspect --help"),
            ("fits b.ferro", "missing: ", "ferrolite fits --help"),
            ("sign m -o o --key k", "missing: --version <N>", "ferrolite sign --help"),
            ("boards --on", "unexpected argument '--on'", "--help"),
        ];
        for (line, message, help) in cases {
            let error = parse(words(line)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.message.contains(message), "{line}: {} should contain {message}", error.message);
            assert!(error.help.contains(help), "{line}: {} should contain {help}", error.help);
            assert!(!error.message.contains('\n') && !error.help.contains('\n'), "{line}: {error:?}");
        }
    }

    #[test]
    fn help_is_printed_not_refused() {
        for line in ["--help", "convert --help", "--version", "boards -h"] {
            assert!(
                matches!(parse(words(line)), Ok(Request::Print(text)) if text.contains("ferrolite")),
                "{line}"
            );
        }
    }
}
