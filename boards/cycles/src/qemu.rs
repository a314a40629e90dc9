//! The interface of QEMU's plugins, as `qemu-plugin.h` declares it, and the plugin's entry.
//!
//! The interface has had versions. The one that concerns us: up to version 2 (QEMU 9.0) `qemu_plugin_insn_data`
//! returns where the bytes are, from version 3 on it copies them. QEMU 9 no longer takes plugins that were
//! made for version 1, and no older QEMU takes others.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::decode::{Instruction, is_wide};
use crate::meter::{Access, Block, Core, Meter, Settings};
use crate::{cortex_m4, riscv};

/// The version of the interface that this plugin is made for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = if cfg!(feature = "qemu-9") { 2 } else { 1 };

/// First version whose `qemu_plugin_insn_data` copies.
const COPIES: c_int = 3;

/// No register is read or written by a callback.
const NO_REGISTERS: c_int = 0;
/// Both reads and writes call back.
const READS_AND_WRITES: c_int = 3;

type Id = u64;
type TranslationBlock = c_void;
type Insn = c_void;

/// The head of `qemu_info_t`, the same in all versions.
#[repr(C)]
pub struct Info {
    target_name: *const c_char,
    version_min: c_int,
    version_current: c_int,
}

type TranslationCallback = unsafe extern "C" fn(Id, *mut TranslationBlock);
type ExecutionCallback = unsafe extern "C" fn(c_uint, *mut c_void);
type MemoryCallback = unsafe extern "C" fn(c_uint, u32, u64, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: TranslationCallback);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut TranslationBlock,
        callback: ExecutionCallback,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut Insn,
        callback: MemoryCallback,
        flags: c_int,
        accesses: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const TranslationBlock) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const TranslationBlock, index: usize) -> *mut Insn;
    fn qemu_plugin_insn_data(insn: *const Insn, bytes: *mut c_void, len: usize) -> usize;
    fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    fn qemu_plugin_insn_vaddr(insn: *const Insn) -> u64;
    fn qemu_plugin_mem_size_shift(info: u32) -> c_uint;
    fn qemu_plugin_mem_is_store(info: u32) -> bool;
}

/// The plugin's state: QEMU has nothing to carry a state of ours from installation to its callbacks.
struct Plugin {
    meter: Meter,
    out: File,
}

static PLUGIN: Mutex<Option<Plugin>> = Mutex::new(None);
/// Whether instructions are copied, and the core: what translation needs.
static TRANSLATION: OnceLock<(bool, Core)> = OnceLock::new();

fn plugin() -> MutexGuard<'static, Option<Plugin>> {
    PLUGIN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Called once when QEMU loads the plugin; anything but 0 ends QEMU.
///
/// # Safety
/// As QEMU calls it: `info` is valid, `argv` holds `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: QEMU passes `argc` strings that end with a zero.
    let argument = |index: usize| unsafe { CStr::from_ptr(*argv.add(index)).to_string_lossy().into_owned() };
    let words: Vec<String> = (0..argc.unsigned_abs() as usize).map(argument).collect();
    let started = Settings::parse(words.iter().map(String::as_str)).and_then(|settings| {
        let out = File::create(&settings.out).map_err(|error| format!("{}: {error}", settings.out))?;
        Ok(Plugin { meter: Meter::new(settings), out })
    });
    match started {
        Ok(started) => {
            // SAFETY: QEMU's pointer is valid.
            let version = unsafe { (*info).version_current };
            let _ = TRANSLATION.set((version >= COPIES, started.meter.settings().core));
            *plugin() = Some(started);
            // SAFETY: the callback has the type that QEMU wants.
            unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translate) };
            0
        }
        Err(error) => {
            eprintln!("ferrolite-cycles: {error}");
            1
        }
    }
}

/// QEMU translates a block: price it, and ask to be called when it runs.
unsafe extern "C" fn translate(_: Id, tb: *mut TranslationBlock) {
    let Some(&(copies, core)) = TRANSLATION.get() else { return };
    // SAFETY: the block is valid during this call, and so are its instructions.
    let count = unsafe { qemu_plugin_tb_n_insns(tb) };
    let mut code: Vec<(u32, Instruction)> = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: as above; the index is below the count.
        let (insn, address, (word, wide)) = unsafe {
            let insn = qemu_plugin_tb_get_insn(tb, index);
            (insn, qemu_plugin_insn_vaddr(insn) as u32, bytes(insn, copies, core))
        };
        let this = core.decode(word, wide);
        if this.loads() || this.stores() {
            let before = code.last().map(|(_, before)| before);
            let chained = usize::from(cortex_m4::is_chained(before, &this));
            // SAFETY: the callback has the type that QEMU wants; its data is a number.
            unsafe {
                qemu_plugin_register_vcpu_mem_cb(
                    insn,
                    access,
                    NO_REGISTERS,
                    READS_AND_WRITES,
                    std::ptr::without_provenance_mut(chained),
                );
            }
        }
        code.push((address, this));
    }
    // QEMU may run a block until its end, so what the callback gets must live as long.
    let block: &'static Block = Box::leak(Box::new(Block::new(core, &code)));
    let data = std::ptr::from_ref(block).cast_mut().cast();
    // SAFETY: the callback has the type that QEMU wants and gets what it expects.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, NO_REGISTERS, data) };
}

/// The halfwords of an instruction, of Thumb the first of two in the upper half, and whether there are two. The
/// size that QEMU tells is no help: near the end of a page, QEMU 7 counts bytes of the next instruction.
///
/// # Safety
/// The instruction must be valid, and `copies` what the version of QEMU does.
unsafe fn bytes(insn: *const Insn, copies: bool, core: Core) -> (u32, bool) {
    // SAFETY: the instruction is valid, says the caller.
    let size = unsafe { qemu_plugin_insn_size(insn) }.min(4);
    let mut bytes = [0u8; 4];
    if copies {
        // SAFETY: `bytes` has room for `size` bytes.
        unsafe { qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), size) };
    } else {
        type Returns = unsafe extern "C" fn(*const Insn) -> *const u8;
        type Copies = unsafe extern "C" fn(*const Insn, *mut c_void, usize) -> usize;
        // SAFETY: in these versions the function of this name has this type.
        let data = unsafe { std::mem::transmute::<Copies, Returns>(qemu_plugin_insn_data) };
        // SAFETY: it returns `size` bytes that are valid during translation.
        unsafe { std::ptr::copy_nonoverlapping(data(insn), bytes.as_mut_ptr(), size) };
    }
    let [a, b, c, d] = bytes;
    let (first, second) = (u32::from(u16::from_le_bytes([a, b])), u32::from(u16::from_le_bytes([c, d])));
    if core == Core::Rv32 {
        return if riscv::is_wide(first) { (second << 16 | first, true) } else { (first, false) };
    }
    if is_wide(first) { (first << 16 | second, true) } else { (first, false) }
}

/// A block starts to run.
unsafe extern "C" fn execute(_: c_uint, data: *mut c_void) {
    // SAFETY: `translate` gives a block that is never freed.
    let block = unsafe { &*data.cast_const().cast::<Block>() };
    let mut plugin = plugin();
    let Some(plugin) = plugin.as_mut() else { return };
    if let Some(window) = plugin.meter.enter(block) {
        let line = format!("{} {} {}\n", window.instructions, window.cycles, window.flash_words);
        // Where the host's disk is full, the reader finds a line too few.
        let _ = plugin.out.write_all(line.as_bytes());
    }
}

/// An instruction reads or writes memory.
unsafe extern "C" fn access(_: c_uint, info: u32, address: u64, data: *mut c_void) {
    // SAFETY: functions of QEMU on its own value.
    let (size, store) = unsafe { (qemu_plugin_mem_size_shift(info), qemu_plugin_mem_is_store(info)) };
    if let Some(plugin) = plugin().as_mut() {
        plugin.meter.access(Access { address: address as u32, size, store, chained: data.addr() != 0 });
    }
}
