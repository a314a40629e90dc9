//! Last words: panics and faults become an error record and an exit code.

use core::panic::PanicInfo;

use crate::report::{Kind, fail};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(Kind::Panic, format_args!("{info}"))
}

#[cfg(target_arch = "arm")]
mod arm {
    use cortex_m_rt::{ExceptionFrame, exception};

    use super::{Kind, fail};

    /// Configurable fault status and bus fault address; read as zero on Cortex-M0.
    const CFSR: *const u32 = 0xE000_ED28 as *const u32;
    const BFAR: *const u32 = 0xE000_ED38 as *const u32;

    // SAFETY: cortex-m-rt calls it with the frame that the processor has stacked.
    #[exception]
    unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
        // SAFETY: registers of the system control block.
        let (cfsr, bfar) = unsafe { (CFSR.read_volatile(), BFAR.read_volatile()) };
        fail(
            Kind::Fault,
            format_args!(
                "hard fault at pc {:#010x}, lr {:#010x}, cfsr {cfsr:#x}, bfar {bfar:#010x}",
                frame.pc(),
                frame.lr()
            ),
        )
    }

    #[exception]
    unsafe fn DefaultHandler(number: i16) {
        fail(Kind::Fault, format_args!("unexpected interrupt {number}"))
    }
}

#[cfg(target_arch = "riscv32")]
mod riscv {
    use core::arch::asm;

    use super::{Kind, fail};

    // SAFETY: riscv-rt calls the symbol of this name on exceptions; this is the only one.
    #[unsafe(export_name = "ExceptionHandler")]
    fn exception(_: &riscv_rt::TrapFrame) -> ! {
        let (cause, pc, value): (usize, usize, usize);
        // SAFETY: reads registers.
        unsafe {
            asm!("csrr {}, mcause", out(reg) cause, options(nomem, nostack));
            asm!("csrr {}, mepc", out(reg) pc, options(nomem, nostack));
            asm!("csrr {}, mtval", out(reg) value, options(nomem, nostack));
        }
        fail(Kind::Fault, format_args!("exception {cause} at pc {pc:#010x}, value {value:#010x}"))
    }
}
