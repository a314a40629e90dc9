//! A `.ferro` file, read in place and verified.

use crate::flatbuffer::{Place, Table, Words};
use crate::{
    Error, FILE_ALIGNMENT, FILE_IDENTIFIER, FORMAT_VERSION, Header, Op, Port, RUNTIME_LEVEL, Rounding,
    Target, Tensor,
};

/// Fields of table `Model` in `model.fbs` that a device reads: those up to `ports`, in this order.
const DEVICE_FIELDS: usize = 8;

/// How many programs a file may have, so that the time to verify them is bounded.
const MAX_ENTRIES: usize = 255;

/// Field numbers of table `Model`.
mod field {
    pub const FORMAT_VERSION: usize = 0;
    pub const HEADER: usize = 1;
    pub const CONSTANTS: usize = 6;
    pub const TARGET_NAME: usize = 8;
    pub const INPUT_NAMES: usize = 9;
    pub const OUTPUT_NAMES: usize = 10;
    pub const SOURCE_HASH: usize = 11;
    pub const CHECKSUM: usize = 12;
    pub const METADATA: usize = 13;
    pub const SELF_TEST: usize = 14;
    pub const DEBUG: usize = 15;
    pub const MEMORIES: usize = 16;
    pub const VARIABLES: usize = 17;
    pub const VARIABLE_NAMES: usize = 18;
    pub const ENTRY_NAMES: usize = 19;
    pub const ENTRIES: usize = 20;
}

/// A verified model. Whoever holds one holds the proof that all records are in bounds, that no op
/// reads what was not written, and that no op writes over what is still to be read (an op's own
/// operands excepted: whether they may overlap is a matter of the op, and the interpreter asks it).
///
/// ```
/// let nonsense = [0u8; 32];
/// assert!(ferrolite_schema::Model::from_bytes(&nonsense).is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Model<'a> {
    bytes: &'a [u8],
    tensors: &'a [Tensor],
    operands: &'a [u16],
    ops: &'a [Op],
    params: &'a [u32],
    constants: &'a [u8],
    ports: &'a [Port],
    header: &'a Header,
}

impl<'a> Model<'a> {
    /// A model whose parts have not been found.
    #[inline(always)]
    pub(crate) fn unread(bytes: &'a [u8]) -> Model<'a> {
        Model {
            bytes,
            tensors: &[],
            operands: &[],
            ops: &[],
            params: &[],
            constants: &[],
            ports: &[],
            header: &Header::EMPTY,
        }
    }

    /// A copy, part by part: as one run of bytes it would take `memcpy`, which is a large function that nothing else in
    /// a firmware needs.
    #[inline(always)]
    pub const fn by_parts(&self) -> Model<'a> {
        let &Model { bytes, tensors, operands, ops, params, constants, ports, header } = self;
        Model { bytes, tensors, operands, ops, params, constants, ports, header }
    }

    /// A model of parts that are not verified, for tests of verification.
    #[cfg(test)]
    pub(crate) fn of_parts(
        header: &'a Header,
        (tensors, operands, ops): (&'a [Tensor], &'a [u16], &'a [Op]),
        (params, constants): (&'a [u32], &'a [u8]),
        ports: &'a [Port],
    ) -> Model<'a> {
        Model { bytes: &[], tensors, operands, ops, params, constants, ports, header }
    }

    /// Finds the parts of the file. What they hold is not verified.
    #[inline(always)]
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        let bytes = self.bytes;
        if bytes.len() > i32::MAX as usize {
            return Err(Error::TooLarge);
        }
        if (bytes.as_ptr() as usize) & (FILE_ALIGNMENT - 1) != 0 {
            return Err(Error::Misaligned);
        }
        match bytes.get(4..8) {
            None => return Err(Error::Truncated { needed: 8 }),
            Some(identifier) if identifier != FILE_IDENTIFIER => return Err(Error::NotAModel),
            Some(_) => {}
        }
        let words = Words::new(bytes).ok_or(Error::Misaligned)?;
        let bad_root = || Error::Offset { at: words.word(0).unwrap_or(0) };
        let root = words.table(0).ok_or_else(bad_root)?;
        let found = root.u32(root.place(field::FORMAT_VERSION)).unwrap_or(0);
        if found != FORMAT_VERSION {
            return Err(Error::Version { found });
        }
        // A vtable ends with the last field that is there, and ports are.
        let places = root.places::<DEVICE_FIELDS>().ok_or_else(|| root.fault())?;
        self.find(&root, places).ok_or_else(|| root.fault())?;
        let needed = self.header.minimum_runtime;
        if needed > RUNTIME_LEVEL {
            return Err(Error::RuntimeTooOld { needed });
        }
        if self.header.rounding > Rounding::Single as u32 {
            return Err(Error::Rounding { found: self.header.rounding });
        }
        let constants = self.constants;
        if !constants.is_empty() && (constants.as_ptr() as usize) & (FILE_ALIGNMENT - 1) != 0 {
            return Err(Error::Offset { at: field::CONSTANTS as u32 });
        }
        Ok(())
    }

    #[inline(always)]
    fn find(&mut self, root: &Table<'a>, places: &[Place; DEVICE_FIELDS]) -> Option<()> {
        let &[_, header, tensors, operands, ops, params, constants, ports] = places;
        self.header = root.record::<6, _>(header)?;
        self.tensors = root.structs::<3, _>(tensors)?;
        self.operands = root.scalars(operands)?;
        self.ops = root.structs::<6, _>(ops)?;
        self.params = root.scalars(params)?;
        self.constants = root.scalars(constants)?;
        self.ports = root.structs::<10, _>(ports)?;
        Some(())
    }

    /// What the device does not need to run is looked up when it is asked for.
    fn root(&self) -> Option<Table<'a>> {
        Words::new(self.bytes)?.table(0)
    }

    /// The table of this program, with the names of its own: the root, unless it is an [entry](Model::entry).
    fn own(&self) -> Option<Table<'a>> {
        let root = self.root()?;
        let is_own = |table: &Table<'a>| {
            let header = table.record::<6, Header>(table.place(field::HEADER));
            header.is_some_and(|header| core::ptr::eq(header, self.header))
        };
        if is_own(&root) {
            return Some(root);
        }
        let mut tables = (0..).map_while(|index| root.table_at(field::ENTRIES, index));
        tables.find(is_own)
    }

    /// How many programs have a name in the file.
    pub(crate) fn named_entries(&self) -> usize {
        let count = self.root().and_then(|root| root.count(field::ENTRY_NAMES)).unwrap_or(0);
        if count > MAX_ENTRIES { 0 } else { count }
    }

    /// Name of a program of the file.
    pub(crate) fn name_of_entry(&self, index: usize) -> Option<&'a str> {
        self.root()?.string_at(field::ENTRY_NAMES, index)
    }

    /// A program of the file, the root's first, whose parts were found and not verified, but for what it shares with this one.
    pub(crate) fn found_entry(&self, index: usize) -> Option<Model<'a>> {
        let root = self.root()?;
        let table = match index.checked_sub(1) {
            None => root,
            Some(behind) => root.table_at(field::ENTRIES, behind)?,
        };
        let mut model = Model::unread(self.bytes);
        model.find(&table, table.places::<DEVICE_FIELDS>()?)?;
        let (ours, theirs) = (self.header, model.header);
        let memory = |header: &Header| (header.arena_bytes, header.state_bytes, header.initial_bytes);
        let known = theirs.minimum_runtime <= RUNTIME_LEVEL && theirs.rounding <= Rounding::Single as u32;
        let shared = memory(ours) == memory(theirs) && core::ptr::eq(self.constants, model.constants);
        (known && shared).then_some(model)
    }

    /// What has a name in the state, unverified; `None` where it does not lie in the file.
    pub(crate) fn named_state(&self) -> Option<&'a [Port]> {
        let own = self.own()?;
        own.structs::<10, _>(own.place(field::VARIABLES))
    }

    /// Name of a [variable](Model::variables).
    pub fn variable_name(&self, index: usize) -> Option<&'a str> {
        self.own()?.string_at(field::VARIABLE_NAMES, index)
    }

    /// The sizes of the memories, empty for one; `None` where they do not lie in the file.
    pub(crate) fn memory_sizes(&self) -> Option<&'a [u32]> {
        let root = self.root()?;
        root.scalars(root.place(field::MEMORIES))
    }

    /// Bytes of arena that the model needs, scratch memory and state included.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// How many of the arena's last bytes keep their contents from one inference to the next.
    pub fn state_bytes(&self) -> usize {
        self.header.state_bytes as usize
    }

    /// The first byte of the state, which is the end of what an inference works in.
    #[inline(always)]
    pub fn state_start(&self) -> usize {
        // A verified model's state is no larger than its arena.
        self.header.arena_bytes.wrapping_sub(self.header.state_bytes) as usize
    }

    /// Whether the state lies in the arena and at a multiple of 16, and its first contents among the constants.
    #[inline(always)]
    pub(crate) fn has_sound_state(&self) -> bool {
        // Where there is none, nothing has to be aligned.
        let &Header { arena_bytes: arena, state_bytes: state, initial_bytes: initial, .. } = self.header;
        let aligned = self.state_start() & (FILE_ALIGNMENT - 1) == 0 || state == 0;
        aligned && state <= arena && initial <= state && initial as usize <= self.constants.len()
    }

    /// What the first bytes of the state hold before the first inference; those behind them hold zero.
    pub fn initial_state(&self) -> &'a [u8] {
        self.constants.get(..self.header.initial_bytes as usize).unwrap_or(&[])
    }

    /// All tensors; operands and ports refer to them by index.
    pub fn tensors(&self) -> &'a [Tensor] {
        self.tensors
    }

    /// The program.
    pub fn ops(&self) -> &'a [Op] {
        self.ops
    }

    /// Tensor indices of an op: its inputs, then its outputs.
    #[inline(always)]
    pub fn operands<'o>(&self, op: &'o Op) -> &'o [u16]
    where
        'a: 'o,
    {
        match op.pair() {
            Some(pair) => pair,
            None => self.listed_operands(op),
        }
    }

    /// As [`operands`](Model::operands), of an op that has not one input and one output.
    #[inline(always)]
    pub fn listed_operands(&self, op: &Op) -> &'a [u16] {
        let Some(rest) = self.operands.get(op.operands as usize..) else { return &[] };
        rest.get(..usize::from(op.inputs) + usize::from(op.outputs)).unwrap_or(&[])
    }

    /// One of those, counted from the first; behind the last one are those of other ops.
    #[inline(always)]
    pub fn listed_operand(&self, op: &Op, place: usize) -> Option<&'a u16> {
        self.operands.get((op.operands as usize).wrapping_add(place))
    }

    /// Parameter words of an op.
    #[inline(always)]
    pub fn params(&self, op: &Op) -> &'a [u32] {
        self.params_checked(op).unwrap_or(&[])
    }

    /// As [`params`](Model::params), `None` where they lie outside the file's parameters.
    #[inline(always)]
    pub(crate) fn params_checked(&self, op: &Op) -> Option<&'a [u32]> {
        self.params_from(op)?.get(..op.params_words as usize)
    }

    /// Parameter words from an op's first one on: what follows them in the file is seen, too.
    #[inline(always)]
    pub fn params_from(&self, op: &Op) -> Option<&'a [u32]> {
        self.params.get(op.params as usize..)
    }

    /// Weights, biases, multipliers, tables; starts at a multiple of 16.
    pub fn constants(&self) -> &'a [u8] {
        self.constants
    }

    /// Inputs and outputs; `None` where there are fewer than so many inputs, as in no verified model.
    #[inline(always)]
    pub(crate) fn borders(&self) -> Option<(&'a [Port], &'a [Port])> {
        self.ports.split_at_checked(self.header.input_count.into())
    }

    /// Model inputs, in the author's order.
    #[inline(always)]
    pub fn inputs(&self) -> &'a [Port] {
        self.borders().map_or(&[], |(inputs, _)| inputs)
    }

    /// Model outputs, in the author's order.
    #[inline(always)]
    pub fn outputs(&self) -> &'a [Port] {
        self.borders().map_or(&[], |(_, outputs)| outputs)
    }

    /// How accumulators are scaled down.
    pub fn rounding(&self) -> Rounding {
        // A verified model has no other number.
        if self.header.rounding == 0 { Rounding::Double } else { Rounding::Single }
    }

    /// The core that the file was packed for; `None` for one that this build does not know.
    pub fn target(&self) -> Option<Target> {
        Target::from_code(self.header.target)
    }

    /// The name of the core that the file was packed for, which may be none that this build knows.
    pub fn target_name(&self) -> &'a str {
        let told = || self.root()?.string(field::TARGET_NAME);
        self.target().map(Target::name).or_else(told).unwrap_or("unknown")
    }

    /// Whether the file is packed for the kernels of this build, [`KERNELS`](crate::KERNELS). Another file gives the
    /// same bytes, several times slower; one that is packed for no core in particular suits only builds that have
    /// no kernels of their own.
    pub fn suits(&self) -> bool {
        self.target().is_some_and(Target::is_native)
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Name of an input.
    pub fn input_name(&self, index: usize) -> Option<&'a str> {
        self.own()?.string_at(field::INPUT_NAMES, index)
    }

    /// Name of an output.
    pub fn output_name(&self, index: usize) -> Option<&'a str> {
        self.own()?.string_at(field::OUTPUT_NAMES, index)
    }

    /// SHA-256 of the model that this file was made from; empty if it is not recorded.
    pub fn source_hash(&self) -> &'a [u8] {
        self.root().and_then(|root| root.scalars(root.place(field::SOURCE_HASH))).unwrap_or(&[])
    }

    /// The names and facts for people, if the file carries them.
    pub fn names(&self) -> Names<'a> {
        let debug = || self.own()?.table(field::DEBUG);
        Names { metadata: self.root().and_then(|root| root.table(field::METADATA)), debug: debug() }
    }

    /// The recorded input and output bytes that a device can check itself with, if there are any:
    /// all inputs, and all outputs, one behind the other in port order.
    pub fn self_test(&self) -> Option<(&'a [u8], &'a [u8])> {
        let table = self.own()?.table(field::SELF_TEST)?;
        Some((table.scalars(table.place(0))?, table.scalars(table.place(1))?))
    }

    /// Where the file's CRC-32 stands, counted in bytes, and what it is; `None` where the file has none.
    pub fn checksum(&self) -> Option<(usize, u32)> {
        let at = self.root()?.field(field::CHECKSUM)?;
        Some((at as usize * 4, Words::new(self.bytes)?.word(at)?))
    }

    /// Whether the file's CRC-32 is that of its bytes: a check against damaged flash, apart from
    /// verification because its time is that of reading every byte.
    pub fn checksum_matches(&self) -> bool {
        let Some((at, stored)) = self.checksum() else { return false };
        let mut crc = u32::MAX;
        for (index, &byte) in self.bytes.iter().enumerate() {
            let byte = if index.wrapping_sub(at) < 4 { 0 } else { byte };
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            }
        }
        !crc == stored
    }
}

/// What it is, not what it holds: a file has thousands of numbers.
impl core::fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model")
            .field("bytes", &self.bytes.len())
            .field("arena_bytes", &self.arena_bytes())
            .field("ops", &self.ops.len())
            .field("tensors", &self.tensors.len())
            .field("inputs", &self.inputs())
            .field("outputs", &self.outputs())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Model<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Model {{ bytes: {=usize}, arena_bytes: {=usize}, ops: {=usize}, tensors: {=usize}, inputs: {}, outputs: {} }}",
            self.bytes.len(),
            self.arena_bytes(),
            self.ops.len(),
            self.tensors.len(),
            self.inputs(),
            self.outputs()
        );
    }
}

/// What the file says to people: names, labels, sizes for reports. Every answer may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    metadata: Option<Table<'a>>,
    debug: Option<Table<'a>>,
}

impl<'a> Names<'a> {
    /// The model's name.
    pub fn model(&self) -> Option<&'a str> {
        self.metadata?.string(0)
    }

    /// What the model is for.
    pub fn description(&self) -> Option<&'a str> {
        self.metadata?.string(1)
    }

    /// Who made it.
    pub fn author(&self) -> Option<&'a str> {
        self.metadata?.string(2)
    }

    /// Its licence.
    pub fn licence(&self) -> Option<&'a str> {
        self.metadata?.string(3)
    }

    /// The label of a class.
    pub fn label(&self, class: usize) -> Option<&'a str> {
        self.metadata?.string_at(4, class)
    }

    /// Program and version that wrote the file.
    pub fn writer(&self) -> Option<&'a str> {
        self.metadata?.string(5)
    }

    /// Name of an op: the author's name of the layer.
    pub fn op(&self, index: usize) -> Option<&'a str> {
        self.debug?.string_at(0, index)
    }

    /// TFLite name of the operator that an op came from.
    pub fn op_kind(&self, index: usize) -> Option<&'a str> {
        self.debug?.string_at(1, index)
    }

    /// Multiply-accumulate operations of an op.
    pub fn op_macs(&self, index: usize) -> Option<u64> {
        let debug = self.debug?;
        let &[low, high] = debug.structs::<2, [u32; 2]>(debug.place(2))?.get(index)?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// Name of a tensor.
    pub fn tensor(&self, index: usize) -> Option<&'a str> {
        self.debug?.string_at(3, index)
    }

    /// The name of a memory of the arena, and the bytes that the arena could have taken there.
    pub fn memory(&self, index: usize) -> Option<(&'a str, u32)> {
        let debug = self.debug?;
        let limit = debug.scalars::<u32>(debug.place(6))?.get(index)?;
        Some((debug.string_at(5, index)?, *limit))
    }

    /// Shape and quantization of a tensor. Its `tensor` and dimensions are not verified.
    pub fn tensor_port(&self, index: usize) -> Option<&'a Port> {
        let debug = self.debug?;
        debug.structs::<10, Port>(debug.place(4))?.get(index)
    }
}
