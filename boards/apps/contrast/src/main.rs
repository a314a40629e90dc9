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
use ferrolite_runtime::{
    AlignedBytes, Arena, Error, Interpreter, Model, OpSet, Operator, include_model, ops,
};
use semihosting::{print, println, process};

static MODEL: AlignedBytes = include_model!("../model/contrast.ferro");
static INPUTS: &[u8] = include_bytes!("../model/inputs.bin");

/// The operators that the model needs, and no others.
const OPS: OpSet = &[ops::FULLY_CONNECTED, Operator::custom::<Contrast>()];

#[entry]
fn main() -> ! {
    // cortex-m-rt makes a `&'static mut` of it.
    static mut ARENA: Arena<1024> = Arena::new();
    match run(ARENA) {
        Ok(()) => process::exit(0),
        Err(error) => {
            println!("{error}");
            process::exit(1)
        }
    }
}

fn run(arena: &mut [u8]) -> Result<(), Error> {
    let model = Model::from_bytes(&MODEL)?;
    let mut net = Interpreter::new(&model, OPS, arena)?;
    let len = net.input_mut::<i8>(0)?.len();
    for input in INPUTS.chunks_exact(len) {
        for (place, &byte) in net.input_mut::<i8>(0)?.iter_mut().zip(input) {
            *place = byte as i8;
        }
        net.invoke()?;
        for score in net.output::<i8>(0)? {
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
