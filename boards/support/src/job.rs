//! A job: the header and the model that lie at the board's job address.
//!
//! ```text
//! word 0  magic "FJOB"        word 4  flags
//! word 1  version             word 5  number of samples
//! word 2  bytes of the model  word 6  rounds of the calibration loop, 0 to run the model
//! word 3  bytes of arena to use at most, 0 for all
//! word 7..16  zero
//! byte 64     the model
//! ```
//! Inputs are read from the host's file `inputs.bin`, one sample after the other, so their number is
//! not limited by the board's memory.

const MAGIC: u32 = u32::from_le_bytes(*b"FJOB");
const VERSION: u32 = 1;

/// Report every op's instructions and output for the first sample.
pub const LAYERS: u32 = 1;
/// The samples are one sequence: keep state between them.
pub const SEQUENCE: u32 = 2;

unsafe extern "C" {
    static _job_start: u32;
    static mut _arena_start: u8;
    static _arena_end: u8;
}

/// What the host asks for.
#[derive(Clone, Copy)]
pub struct Job {
    /// The model file.
    pub model: &'static [u8],
    /// Bytes of arena to use at most.
    pub arena_limit: usize,
    /// [`LAYERS`], [`SEQUENCE`].
    pub flags: u32,
    /// Number of samples in `inputs.bin`.
    pub samples: u32,
    /// Rounds of the calibration loop; 0 runs the model.
    pub calibration: u32,
}

impl Job {
    /// The job in memory, or `None` if the loader has put none there.
    pub fn take() -> Option<Job> {
        // SAFETY: the linker script puts the symbol at the start of a memory region of the board that
        // belongs to nothing else, a multiple of 16, with room for the 64 bytes of the header.
        let words = unsafe { &*(&raw const _job_start).cast::<[u32; 16]>() };
        let &[MAGIC, VERSION, model_bytes, arena_limit, flags, samples, calibration, ..] = words else {
            return None;
        };
        let start = (&raw const _job_start).cast::<u8>().wrapping_add(64);
        // SAFETY: the host has checked that the model of this length fits the region, and has loaded it.
        let model = unsafe { core::slice::from_raw_parts(start, model_bytes as usize) };
        let arena_limit = if arena_limit == 0 { usize::MAX } else { arena_limit as usize };
        Some(Job { model, arena_limit, flags, samples, calibration })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The board's memory for arenas, starting at a multiple of 16.
///
/// # Safety
/// The slice of an earlier call must not be in use.
pub unsafe fn arena() -> &'static mut [u8] {
    let start = &raw mut _arena_start;
    let len = (&raw const _arena_end as usize).wrapping_sub(start as usize);
    // SAFETY: the linker script reserves these bytes for this; the caller has no other slice of them.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}
