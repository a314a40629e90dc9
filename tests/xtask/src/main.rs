//! Ferrolite's own tasks, each a command that a person can type:
//!
//! ```text
//! cargo xtask setup     install what is missing: bare-metal targets, QEMU
//! cargo xtask demo      a digit classifier, from float file to answers on a Cortex-M4
//! cargo xtask test      everything that CI runs
//! cargo xtask web       the npm package and the page for browsers
//! cargo xtask bench     measure all models on all boards, into BENCHMARKS.md
//! cargo xtask bench --layers  price single layers of random numbers
//! cargo xtask bench --prices  renew what a multiply-accumulate takes on each way
//! cargo xtask bench --fit     the model of boards against published latencies
//! cargo xtask bench --house   the same, compared with the earlier figures
//! cargo xtask lint      formatting, clippy, which way imports go, what packages hold
//! cargo xtask schema    regenerate the code that is made from model.fbs
//! cargo xtask images    build the boards' runners, to be embedded in the command
//! cargo xtask models    make all .ferro files of the repository anew
//! cargo xtask packages  packages for Arduino, PlatformIO, ESP-IDF, Zephyr and CMSIS, into target/packages
//! cargo xtask book      check and build the book, into target/book
//! cargo xtask mutants   small faults put into the checks on purpose, into tests/mutants/list.txt
//! ```

mod apt;
mod bench;
mod book;
mod demo;
mod fbs;
mod fuzz;
mod house;
mod layers;
mod layout;
mod models;
mod mutants;
mod operators;
mod packages;
mod publish;
mod python;
mod recipe;
mod run;
mod schema;
mod setup;
mod symbols;
mod test;
mod web;

use clap::{Parser, Subcommand};
use run::{IMAGES, command, exec};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Ferrolite's own chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what is missing: bare-metal targets and QEMU
    Setup,
    /// Converts a float digit classifier and runs it on a QEMU Cortex-M4
    Demo,
    /// Builds the npm package and the page for browsers, in target/npm and target/web
    Web,
    /// Runs everything that CI runs
    Test {
        /// Run only the steps whose name contains this word
        #[arg(long)]
        only: Option<String>,
        /// Run the slow steps, too
        #[arg(long)]
        all: bool,
    },
    /// Measures all models on all boards and writes BENCHMARKS.md; prints a table with --board or --model
    Bench {
        /// Only this board (repeat for more)
        #[arg(long)]
        board: Vec<String>,
        /// Only this model (repeat for more)
        #[arg(long)]
        model: Vec<String>,
        /// Renew the golden figures in tests/models/locks instead
        #[arg(long, conflicts_with_all = ["board", "model"])]
        golden: bool,
        /// Compare everything with what it was before the house was rebuilt, and fail beyond the limits
        #[arg(long, conflicts_with_all = ["board", "model", "golden"])]
        house: bool,
        /// Price single layers of random numbers instead: those of tests/examples/bench/layers.txt, or one for each
        /// time that the option has a value, as `--layers "conv_2d 32x32x8 3x3/1 16"`
        #[arg(long, num_args = 0.., conflicts_with_all = ["model", "golden", "house"])]
        layers: Option<Vec<String>>,
        /// Price operators without multiplications instead, an element: those of tests/examples/bench/elements.txt, or
        /// one for each time that the option has a value, as `--elements "add 16x16x16 with=16"`
        #[arg(long, num_args = 0.., conflicts_with_all = ["model", "golden", "house", "layers"])]
        elements: Option<Vec<String>>,
        /// Renew what a multiply-accumulate takes on each way through an operator, in converter/src/ops/prices.txt
        #[arg(long, conflicts_with_all = ["model", "golden", "house", "layers"])]
        prices: bool,
        /// Hold the boards of `ferrolite bench --board` against published latencies instead
        #[arg(long, conflicts_with_all = ["board", "model", "golden", "house", "layers", "prices"])]
        fit: bool,
    },
    /// Checks formatting, lints, the order of imports, and packages
    Lint,
    /// Regenerates the code that is made from the schema files (needs npm)
    Schema,
    /// Builds the runners of all boards and packs them into converter/images, to be embedded in the command
    Images,
    /// Makes all .ferro files of the repository anew
    Models,
    /// Checks the book of boards/book and builds it into target/book
    Book {
        /// Write the page of the command's errors anew instead, from the sources
        #[arg(long)]
        errors: bool,
        /// Draw the pictures anew instead, from the models
        #[arg(long, conflicts_with = "errors")]
        pictures: bool,
    },
    /// Puts packages for Arduino, PlatformIO, ESP-IDF, Zephyr and CMSIS together and runs their examples
    Packages {
        /// Only this one
        #[arg(long)]
        only: Option<String>,
        /// Only the library of Cortex-M4, for a quick look
        #[arg(long)]
        quick: bool,
    },
    /// Puts small faults into the checks, each of which a test must notice; writes tests/mutants/list.txt
    #[command(disable_help_flag = true)]
    Mutants {
        /// `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Setup => setup::run().map(|_| ()),
        Command::Demo => demo::run_demo(),
        Command::Web => match web::needs_node() {
            Some(missing) => anyhow::bail!("{missing}"),
            None => web::build().map(|_| ()),
        },
        Command::Test { only, all } => test::run_all(only.as_deref(), all),
        Command::Bench { house: true, .. } => house::run(),
        Command::Bench { board, layers: Some(layers), .. } => bench::layers(&board, &layers),
        Command::Bench { board, elements: Some(cases), .. } => bench::elements(&board, &cases),
        Command::Bench { fit: true, .. } => bench::start(&["--release"], &["--fit"]),
        Command::Bench { board, prices: true, .. } => bench::prices(&board),
        Command::Bench { board, model, golden, .. } => bench::run(&board, &model, golden),
        Command::Lint => test::run_all(Some("lint"), false),
        Command::Schema => schema::run(),
        Command::Images => exec(command("cargo", &IMAGES)),
        Command::Models => models::run(),
        Command::Packages { only, quick } => packages::run(only.as_deref(), !quick),
        Command::Book { errors: true, .. } => book::errors(),
        Command::Book { pictures: true, .. } => book::pictures(),
        Command::Book { .. } => book::build(),
        Command::Mutants { options } => mutants::run(&options),
    }
}
