//! A firmware with an operator of its own. Its model begins with a layer that Ferrolite does not know; the operator's
//! device side is the file that the host used to convert it (`converter/examples/custom_operator`), and the op set
//! lists it beside what the model needs else.
//!
//! It answers the inputs that lie beside the model, one line of scores for each.
#![no_std]
#![no_main]

#[path = "../../../../converter/examples/custom_operator/contrast.rs"]
mod contrast;

use contrast::Contrast;
use cortex_m as _;
use cortex_m_rt::entry;
use ferrolite_runtime::{Error, OpSet, Operator, ops};
use semihosting::{print, println, process};

/// The model, written by `ferrolite convert --rust`.
#[path = "../model/contrast.rs"]
mod model;

static MODEL: model::File = model::File::new(include_bytes!("../model/contrast.ferro"));
static INPUTS: &[u8] = include_bytes!("../model/inputs.bin");

/// The operators that the model needs, and no others: `model::OPS` and the firmware's own.
const OPS: OpSet = &[ops::FULLY_CONNECTED, Operator::custom::<Contrast>()];

#[entry]
fn main() -> ! {
    // cortex-m-rt makes a `&'static mut` of it.
    static mut MEMORY: model::Memory = model::Memory::new();
    match run(MEMORY) {
        Ok(()) => process::exit(0),
        Err(error) => {
            println!("{error}");
            process::exit(1)
        }
    }
}

fn run(memory: &mut model::Memory) -> Result<(), Error> {
    let mut net = model::bind(&MODEL, memory, OPS)?;
    for bytes in INPUTS.as_chunks().0 {
        for score in net.run(&bytes.map(|byte: u8| byte as i8)) {
            print!("{score} ");
        }
        println!();
    }
    Ok(())
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    process::exit(2)
}
