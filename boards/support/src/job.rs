//! Jobs: each a header and a model, one behind the other from the board's job address on. Boards have one in
//! flash, where a product has its model, and may have another for models that are too large for that.
//!
//! ```text
//! word 0  magic "FJOB"        word 4  flags
//! word 1  version             word 5  number of samples
//! word 2  bytes of the model  word 6  rounds of the calibration loop, 0 to run the model
//! word 3  bytes of arena to use at most, 0 for all
//! word 7  where the next job starts, a multiple of 16, counted from this one; 0 for the last
//! word 8  where the samples of this job start in `inputs.bin`
//! word 9  the program to run, of a file with several: 0 for its first
//! word 10..16  zero
//! byte 64     the model
//! ```
//! Inputs are read from the host's file `inputs.bin`, one sample after the other, so their number is
//! not limited by the board's memory.

const MAGIC: u32 = u32::from_le_bytes(*b"FJOB");
const VERSION: u32 = 4;

/// Report every op's instructions and output for the first sample.
pub const LAYERS: u32 = 1;
/// The samples are one sequence: keep state between them.
pub const SEQUENCE: u32 = 2;
/// The samples are calls of the file's entry points in turn, on one state.
pub const ENTRIES: u32 = 4;

unsafe extern "C" {
    static _job_start: u32;
    static _job_start_large: u32;
    static mut _arena_start: u8;
    static _arena_end: u8;
    static mut _far_start: u8;
    static _far_end: u8;
}

/// What the host asks for.
#[derive(Clone, Copy)]
pub struct Job {
    /// The model file.
    pub model: &'static [u8],
    /// Bytes of arena to use at most.
    pub arena_limit: usize,
    /// [`LAYERS`], [`SEQUENCE`], [`ENTRIES`].
    pub flags: u32,
    /// Number of samples in `inputs.bin`.
    pub samples: u32,
    /// Rounds of the calibration loop; 0 runs the model.
    pub calibration: u32,
    /// Where its samples start in `inputs.bin`.
    pub inputs_start: u32,
    /// Number of the program to run.
    pub entry: u32,
    next: Option<*const u8>,
}

impl Job {
    /// The first job in memory, or `None` if the loader has put none there.
    pub fn take() -> Option<Job> {
        // SAFETY: the linker script puts each symbol at the start of a memory region of the board that
        // belongs to nothing else, a multiple of 16, with room for the 64 bytes of the header.
        unsafe {
            Job::at((&raw const _job_start).cast()).or_else(|| Job::at((&raw const _job_start_large).cast()))
        }
    }

    /// The job behind this one, or `None` after the last.
    pub fn next(&self) -> Option<Job> {
        // SAFETY: the host has checked that all jobs fit the region, and has loaded them.
        unsafe { Job::at(self.next?) }
    }

    /// # Safety
    /// The address must be a multiple of 16 in the region of jobs, with room for the header; if the
    /// header is one, the model and the next job that it tells of lie in the region, too.
    unsafe fn at(header: *const u8) -> Option<Job> {
        // SAFETY: aligned and in the region, says the caller.
        let words = unsafe { &*header.cast::<[u32; 16]>() };
        let &[
            MAGIC,
            VERSION,
            model_bytes,
            arena_limit,
            flags,
            samples,
            calibration,
            next,
            inputs_start,
            entry,
            ..,
        ] = words
        else {
            return None;
        };
        // SAFETY: the host has checked that the model of this length fits the region, and has loaded it.
        let model = unsafe { core::slice::from_raw_parts(header.wrapping_add(64), model_bytes as usize) };
        let arena_limit = if arena_limit == 0 { usize::MAX } else { arena_limit as usize };
        let next = (next != 0).then(|| header.wrapping_add(next as usize));
        Some(Job { model, arena_limit, flags, samples, calibration, inputs_start, entry, next })
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

/// The board's second memory, starting at a multiple of 16; empty where it has none.
///
/// # Safety
/// The slice of an earlier call must not be in use.
pub unsafe fn far() -> &'static mut [u8] {
    let start = &raw mut _far_start;
    let len = (&raw const _far_end as usize).wrapping_sub(start as usize);
    // SAFETY: the linker script reserves these bytes for this; the caller has no other slice of them.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}
