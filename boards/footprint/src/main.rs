//! The runtime as a product links it, with nothing else. It is measured and inspected, never run:
//! model and arena are taken from addresses that the compiler cannot see through. The host side is
//! `converter/src/board/footprint.rs`.
//!
//! ```text
//! cargo build --release -p footprint --target thumbv7m-none-eabi                                  # empty
//! cargo build --release -p footprint --target thumbv7m-none-eabi --features inference,no-panic    # all operators
//! FERROLITE_OPS=CONV_2D,SOFTMAX cargo build … --features inference                                # these two
//! ```
//! There is no allocator: code that needs one does not link either.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    #[cfg(any(feature = "inference", feature = "verifier"))]
    linked::run();
    loop {
        core::hint::spin_loop();
    }
}

/// What is linked beyond the empty firmware.
#[cfg(any(feature = "inference", feature = "verifier"))]
mod linked {
    use ferrolite_runtime::{Error, Model, OpSet, ops};

    include!(concat!(env!("OUT_DIR"), "/ops.rs"));

    /// Address and length, as the world outside would give them.
    struct Region(usize, usize);

    static MODEL: Region = Region(0x1000_0000, 0x1000);
    static ARENA: Region = Region(0x2000_8000, 0x1000);

    impl Region {
        fn get(&'static self) -> (usize, usize) {
            // SAFETY: reads fields of a static; volatile, so that nothing is known of their values.
            unsafe { ((&raw const self.0).read_volatile(), (&raw const self.1).read_volatile()) }
        }
    }

    pub fn run() {
        let ((model, model_len), (arena, arena_len)) = (MODEL.get(), ARENA.get());
        // SAFETY: the firmware is never run. Were it, the regions would have to be what they say.
        let (model, arena) = unsafe {
            (
                core::slice::from_raw_parts(model as *const u8, model_len),
                core::slice::from_raw_parts_mut(arena as *mut u8, arena_len),
            )
        };
        core::hint::black_box(start(model, arena).is_ok());
    }

    /// What a product does.
    #[cfg(feature = "inference")]
    #[inline(never)]
    fn start(file: &[u8], arena: &mut [u8]) -> Result<(), Error> {
        let model = Model::from_bytes(file)?;
        let mut net = ferrolite_runtime::Interpreter::new(&model, OPS, arena)?;
        net.invoke()
    }

    /// The first half of it. The operators' `eval` must not be linked, so tables of the other
    /// functions are made from the set.
    #[cfg(feature = "verifier")]
    #[inline(never)]
    fn start(file: &[u8], arena: &mut [u8]) -> Result<(), Error> {
        use ferrolite_runtime::{Fault, Node, Operator, check_op};

        type Entry = (u16, fn(&Node<'_>) -> Result<(), Fault>, fn(&Node<'_>, usize) -> Option<u32>);
        const fn entry(operator: &Operator) -> Entry {
            (operator.code as u16, operator.check, operator.lead)
        }
        static ENTRIES: [Entry; OPS.len()] = {
            let mut entries = [entry(&OPS[0]); OPS.len()];
            let mut index = 1;
            while index < OPS.len() {
                entries[index] = entry(&OPS[index]);
                index += 1;
            }
            entries
        };
        let model = Model::from_bytes(file)?;
        if arena.len() < model.arena_bytes() {
            return Err(Error::ArenaMisaligned);
        }
        for (index, op) in model.ops().iter().enumerate() {
            let index = index as u16;
            let unsupported = Error::UnsupportedOp { op: index, code: op.code };
            let (_, check, lead) = ENTRIES.iter().find(|entry| entry.0 == op.code).ok_or(unsupported)?;
            let node = Node::new(&model, op);
            check_op(&node, *check, *lead).map_err(|fault| Error::Op { op: index, fault })?;
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            /// Defined nowhere: the linker names the function that can panic.
            fn a_panic_can_be_reached() -> !;
        }
        // SAFETY: a program with this call does not link.
        unsafe { a_panic_can_be_reached() }
    }
    #[cfg(not(feature = "no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}
