//! Detects the processor's instructions, once.

use core::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};
use core::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets that kernels use. Each level has those of the levels before it, except that AVX-VNNI does
/// not imply AVX-512.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    /// Only the instructions that every x86-64 has.
    Portable = 0,
    /// AVX2.
    Avx2 = 1,
    /// AVX2 and the VNNI instructions of AVX-512.
    Vnni = 2,
    /// AVX2 and AVX-VNNI.
    AvxVnni = 3,
}

impl Level {
    fn from_code(code: u8) -> Option<Level> {
        [Level::Portable, Level::Avx2, Level::Vnni, Level::AvxVnni].get(usize::from(code)).copied()
    }

    /// This level, or `most` if that is lower.
    #[inline]
    pub(super) fn at_most(self, most: u8) -> Level {
        if self as u8 <= most { self } else { Level::from_code(most).unwrap_or(Level::Portable) }
    }
}

/// The processor's level.
#[inline]
pub(super) fn level() -> Level {
    const UNKNOWN: u8 = u8::MAX;
    static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);
    if let Some(level) = Level::from_code(LEVEL.load(Ordering::Relaxed)) {
        return level;
    }
    let level = ask();
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// Asks the processor for its level.
///
/// Source followed: Intel's manual, volume 2, CPUID; volume 1, 13.3 for the registers that the system saves.
#[cold]
#[allow(unsafe_code)]
fn ask() -> Level {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    const YMM: u64 = 0b110;
    const ZMM: u64 = 0b1110_0110;
    const AVX2: u32 = 1 << 5;
    const AVX512F_AND_VL: u32 = 1 << 16 | 1 << 31;
    const AVX512_VNNI: u32 = 1 << 11;
    const AVX_VNNI: u32 = 1 << 4;
    if cpuid(0, 0).eax < 7 || cpuid(1, 0).ecx & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
        return Level::Portable;
    }
    // SAFETY: the processor has XGETBV, since OSXSAVE is set.
    let saved = unsafe { saved_registers() };
    let (features, more) = (cpuid(7, 0), cpuid(7, 1));
    if saved & YMM != YMM || features.ebx & AVX2 == 0 {
        return Level::Portable;
    }
    let avx512 = saved & ZMM == ZMM && features.ebx & AVX512F_AND_VL == AVX512F_AND_VL;
    if features.eax >= 1 && more.eax & AVX_VNNI != 0 {
        Level::AvxVnni
    } else if avx512 && features.ecx & AVX512_VNNI != 0 {
        Level::Vnni
    } else {
        Level::Avx2
    }
}

/// CPUID. It has no preconditions, but Rust before 1.94 does not declare it as safe.
#[allow(unsafe_code, unused_unsafe)]
fn cpuid(leaf: u32, sub_leaf: u32) -> CpuidResult {
    // SAFETY: every x86-64 processor has CPUID.
    unsafe { __cpuid_count(leaf, sub_leaf) }
}

/// # Safety
/// The processor must have XGETBV.
#[allow(unsafe_code)]
#[target_feature(enable = "xsave")]
unsafe fn saved_registers() -> u64 {
    // SAFETY: as the caller promises.
    unsafe { _xgetbv(0) }
}
