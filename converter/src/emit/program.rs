//! The program of the device: lowered ops over untyped runs of bytes, not yet placed in the arena.
//!
//! Values that differ only in shape share one run of bytes: where a node's lowering is an empty list
//! (RESHAPE), its result *is* its operand. The file format asks that outputs lie in the arena and
//! that there is at least one op, so an output that is an input or a constant gets a copy.

use std::collections::{HashMap, HashSet};

use ferrolite_runtime::OpSet;
use ferrolite_runtime::kernels::{Policy, has_winograd, policy};
use ferrolite_schema::params::{AssignParams, SkipIfParams};
use ferrolite_schema::{DType, OpCode};

use super::choice::choose;
use super::options::Options;
use super::schedule::{Skip, Step, schedule};
use super::states;
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Value, ValueId};
use crate::ops;
use crate::ops::lowering::{Constants, Lowered, Lowering, States, Tiled};

/// Largest tensor that the format holds.
const MAX_BYTES: usize = 1 << 30;

/// Layers that a refusal lists.
const LISTED: usize = 8;

/// The memory of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The arena, where the plan gives it a place.
    Arena,
    /// The constants, at this offset.
    Constants(u32),
    /// The state, at this offset from its start.
    State(u32),
}

/// A run of bytes that ops read and write.
#[derive(Clone, Debug)]
pub(crate) struct DeviceTensor {
    /// The value that it was made for; others may be views of it.
    pub value: Value,
    /// Size, above 0.
    pub bytes: u32,
    /// Where it lies.
    pub home: Home,
    /// Index of the op that writes it; `None` for inputs of the model, constants and state.
    pub writer: Option<usize>,
    /// Index of the last op that reads it, the number of ops for a model output, the writer's (or 0)
    /// when nobody reads it.
    pub last_use: usize,
}

/// One step of the program.
#[derive(Clone, Debug)]
pub(crate) struct DeviceOp {
    /// Unique name: that of the layer, with a suffix where a layer became several ops.
    pub name: String,
    /// TFLite name of the layer's operator.
    pub kind: String,
    /// Code, parameters, scratch memory.
    pub lowered: Lowered,
    /// Indices of tensors.
    pub inputs: Vec<usize>,
    /// Indices of tensors.
    pub outputs: Vec<usize>,
}

/// A border of the model.
#[derive(Clone, Debug)]
pub(crate) struct Border {
    /// Index of the tensor.
    pub tensor: usize,
    /// Name, shape and quantization as the author gave them.
    pub value: Value,
}

/// Gives each of the inputs, the outputs or the variables a name of its own, since programs ask for them by name: a model
/// may give one value twice, or have two layers of one name. The first keeps the name, others get a number behind it.
fn distinguish(borders: &mut [Border]) {
    let taken: HashSet<String> = borders.iter().map(|border| border.value.name.clone()).collect();
    let mut seen = HashSet::new();
    for border in borders {
        let name = border.value.name.clone();
        let free = |name: &String| !taken.contains(name) && !seen.contains(name);
        if !name.is_empty() && seen.contains(&name) {
            border.value.name = (1..).map(|n| format!("{name}_{n}")).find(free).unwrap_or_default();
        }
        seen.insert(border.value.name.clone());
    }
}

/// Everything that the file will hold, but for places in the arena.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub tensors: Vec<DeviceTensor>,
    pub ops: Vec<DeviceOp>,
    pub inputs: Vec<Border>,
    pub outputs: Vec<Border>,
    /// Tensors of the state that have a name.
    pub variables: Vec<Border>,
    pub constants: Constants,
    /// The operators that run it.
    pub set: OpSet,
    /// Bytes of state.
    pub state_bytes: u32,
    /// How many bytes at the start of the constants the state begins with; the others are zero at first.
    pub initial_bytes: u32,
    /// Bytes of the constants that Winograd's algorithm added, at most.
    pub winograd_bytes: u64,
}

impl Program {
    /// Lowers every node of a quantized graph. When layers cannot be lowered, the one error names all
    /// of them.
    pub fn build(graph: &Graph, options: &Options) -> Result<Program> {
        check_borders(graph)?;
        check_sizes(graph)?;
        let mut tiled = Tiled { possible: has_winograd(options.target), ..Tiled::default() };
        let program = Program::build_with(graph, options, &mut tiled)?;
        tiled.chosen = choose(&tiled.candidates, options.winograd);
        if tiled.chosen.is_empty() {
            return Ok(program);
        }
        let chosen = tiled.candidates.drain(..).filter(|candidate| tiled.chosen.contains(&candidate.output));
        let winograd_bytes = chosen.map(|candidate| candidate.bytes).sum();
        Ok(Program { winograd_bytes, ..Program::build_with(graph, options, &mut tiled)? })
    }

    /// Lowers graphs that work on the same variables, as programs of one file. The constants of each are the beginning of
    /// those of the last one, which are the file's. None uses Winograd's algorithm, whose bytes are weighed graph by graph.
    pub fn build_all(graphs: &[&Graph], options: &Options) -> Result<Vec<Program>> {
        if let &[graph] = graphs {
            return Ok(vec![Program::build(graph, options)?]);
        }
        for (number, graph) in graphs.iter().enumerate() {
            check_sizes(graph)?;
            if number == 0 {
                check_borders(graph)?;
            }
        }
        let (places, initial) = states::placed_together(graphs)?;
        // What operators keep for themselves is known when all have been lowered, and its first contents stand before all
        // other constants.
        let mut state = initial.clone();
        for (graph, places) in graphs.iter().zip(&places) {
            let mut builder = Builder::new(graph);
            builder.states = States { initial: state, places: places.clone() };
            builder.lower_all(options, &mut Tiled::default())?;
            state = builder.states.initial;
        }
        let used = state.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let (state_bytes, initial_bytes) = (state.len() as u32, used as u32);
        let mut constants = Constants::from_bytes(&state[..used]);
        state = initial;
        let mut programs = Vec::new();
        for (graph, places) in graphs.iter().zip(places) {
            let mut builder = Builder::new(graph);
            builder.states = States { initial: state, places };
            builder.program = Program { constants, state_bytes, initial_bytes, ..Program::default() };
            let lowered = builder.lower_all(options, &mut Tiled::default())?;
            state = std::mem::take(&mut builder.states.initial);
            let program = builder.enter_all(lowered)?;
            constants = program.constants.clone();
            programs.push(program);
        }
        Ok(programs)
    }

    fn build_with(graph: &Graph, options: &Options, tiled: &mut Tiled) -> Result<Program> {
        let mut builder = Builder::new(graph);
        builder.states = states::placed(graph)?;
        let mut lowered = builder.lower_all(options, tiled)?;
        if !builder.states.places.is_empty() {
            lowered = builder.lower_behind_states(options, tiled)?;
        }
        builder.enter_all(lowered)
    }
}

impl Builder<'_> {
    /// The program of a graph that has been lowered, node by node.
    fn enter_all(mut self, lowered: Vec<Vec<Lowered>>) -> Result<Program> {
        let graph = self.graph;
        let builder = &mut self;
        builder.enter_inputs()?;
        let steps = schedule(graph);
        builder.enter_states(&steps)?;
        let mut lowered: Vec<Option<Vec<Lowered>>> = lowered.into_iter().map(Some).collect();
        builder.enter(&steps, &mut lowered)?;
        builder.enter_outputs()?;
        builder.enter_assigns()?;
        Ok(Program { set: graph.op_set(), ..self.finish()? })
    }
}

/// Refuses a program without inputs or outputs, which none but an entry beside another may be.
fn check_borders(graph: &Graph) -> Result<()> {
    if graph.inputs.is_empty() || graph.outputs.is_empty() {
        return Err(Error::input(format!(
            "the model has {} inputs and {} outputs; at least one of each is needed",
            graph.inputs.len(),
            graph.outputs.len()
        )));
    }
    Ok(())
}

/// Refuses sizes that the file cannot hold.
fn check_sizes(graph: &Graph) -> Result<()> {
    let mut used: Vec<ValueId> = graph.used_values().into_iter().collect();
    used.sort();
    for id in used {
        let Some(value) = graph.values.get(id.0) else {
            return Err(Error::input(format!("the graph refers to value {}, which it lacks", id.0)));
        };
        let elements = value.shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let bytes = elements.and_then(|n| n.checked_mul(value.dtype.size()));
        let fits = bytes.is_some_and(|bytes| bytes <= MAX_BYTES);
        if !fits || (bytes == Some(0) && value.constant.is_none()) {
            return Err(Error::input(format!(
                "tensor `{}` has shape {:?}: tensors of 1 byte to 1 GiB are supported",
                value.name, value.shape
            )));
        }
        if let Some(constant) = &value.constant
            && Some(constant.len()) != elements
        {
            return Err(Error::input(format!(
                "constant `{}` has {} elements, its shape {:?} asks for another number",
                value.name,
                constant.len(),
                value.shape
            )));
        }
    }
    Ok(())
}

struct Builder<'a> {
    graph: &'a Graph,
    program: Program,
    /// Values of ops that a lowering made for itself; their ids follow those of the graph.
    temporaries: Vec<Value>,
    /// Those among them that are state.
    states: States,
    /// The tensor that holds each value.
    place: HashMap<ValueId, usize>,
    /// The tensor in the arena that has what a tensor of the state had at first.
    loaded: HashMap<usize, usize>,
    names: HashSet<String>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph) -> Builder<'a> {
        Builder {
            graph,
            program: Program::default(),
            temporaries: Vec::new(),
            states: States::default(),
            place: HashMap::new(),
            loaded: HashMap::new(),
            names: HashSet::new(),
        }
    }

    fn lower_all(&mut self, options: &Options, tiled: &mut Tiled) -> Result<Vec<Vec<Lowered>>> {
        let mut lowered = Vec::new();
        let mut errors = Vec::new();
        let mut cx = Lowering {
            graph: self.graph,
            constants: &mut self.program.constants,
            temporaries: &mut self.temporaries,
            states: &mut self.states,
            rounding: options.rounding,
            policy: policy(options.target),
            winograd: tiled,
        };
        for node in &self.graph.nodes {
            match ops::lower(&mut cx, node) {
                Ok(ops) => lowered.push(ops),
                Err(error) => errors.push(error),
            }
        }
        match errors.len() {
            0 => Ok(lowered),
            1 => Err(errors.remove(0)),
            count => {
                let mut lines: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
                let more = lines.len().saturating_sub(LISTED);
                lines.truncate(LISTED);
                let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
                let mut help: Vec<&str> = errors.iter().map(|error| error.help.as_str()).collect();
                help.retain(|line| !line.is_empty());
                help.dedup();
                let message = format!("{count} layers cannot be converted:\n  {}{more}", lines.join("\n  "));
                Err(Error::input(message).help(help.join("; ")))
            }
        }
    }

    /// Lowers all once more, with what the state begins with at the start of the constants, as files have it.
    fn lower_behind_states(&mut self, options: &Options, tiled: &mut Tiled) -> Result<Vec<Vec<Lowered>>> {
        let variables = states::placed(self.graph)?;
        let States { initial, .. } = std::mem::replace(&mut self.states, variables);
        let used = initial.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        self.program.constants = Constants::from_bytes(&initial[..used]);
        self.program.state_bytes = initial.len() as u32;
        self.program.initial_bytes = used as u32;
        self.temporaries.clear();
        tiled.candidates.clear();
        self.lower_all(options, tiled)
    }

    fn value(&self, id: ValueId) -> &Value {
        self.graph.values.get(id.0).unwrap_or_else(|| &self.temporaries[id.0 - self.graph.values.len()])
    }

    fn add_tensor(&mut self, id: ValueId, writer: Option<usize>, home: Home) -> usize {
        let value = Value { constant: None, ..self.value(id).clone() };
        let tensor = self.program.tensors.len();
        let last_use = writer.unwrap_or(0);
        let bytes = value.bytes() as u32;
        self.program.tensors.push(DeviceTensor { value, bytes, home, writer, last_use });
        self.place.insert(id, tensor);
        tensor
    }

    fn enter_inputs(&mut self) -> Result<()> {
        for &id in &self.graph.inputs {
            let value = self.value(id).clone();
            if self.place.contains_key(&id) {
                return Err(Error::input(format!("`{}` is listed twice among the inputs", value.name)));
            }
            let tensor = self.add_tensor(id, None, Home::Arena);
            self.program.inputs.push(Border { tensor, value });
        }
        distinguish(&mut self.program.inputs);
        Ok(())
    }

    /// The tensor that holds a value, entered among the constants if it is one.
    fn read(&mut self, id: ValueId, reader: &str) -> Result<usize> {
        if let Some(&tensor) = self.place.get(&id) {
            return Ok(tensor);
        }
        if let Some(&place) = self.states.places.get(&id) {
            return Ok(self.add_tensor(id, None, Home::State(place)));
        }
        let value = self.value(id);
        let Some(constant) = &value.constant else {
            return Err(Error::input(format!(
                "{reader} reads tensor `{}`, which no earlier layer computes",
                value.name
            )));
        };
        let bytes = constant.to_le_bytes();
        if bytes.is_empty() {
            return Err(Error::input(format!("{reader} reads constant `{}`, which is empty", value.name)));
        }
        let offset = self.program.constants.add(&bytes, 16)?;
        Ok(self.add_tensor(id, None, Home::Constants(offset)))
    }

    /// Enters steps in their order.
    fn enter(&mut self, steps: &[Step], lowered: &mut [Option<Vec<Lowered>>]) -> Result<()> {
        for step in steps {
            match step {
                Step::Node(index) => {
                    let ops = lowered.get_mut(*index).and_then(Option::take).unwrap_or_default();
                    self.enter_node(&self.graph.nodes[*index], ops)?;
                }
                Step::Skip(skip) => self.enter_skip(skip, lowered)?,
            }
        }
        Ok(())
    }

    /// Enters a branch behind the op that skips it.
    fn enter_skip(&mut self, skip: &Skip, lowered: &mut [Option<Vec<Lowered>>]) -> Result<()> {
        let result = &self.graph.nodes[skip.of];
        let word = if skip.when { "else" } else { "then" };
        let params = SkipIfParams { condition: skip.when.into(), count: 0, level: skip.level };
        let op = Lowered::new(OpCode::SkipIf, vec![skip.condition], Vec::new(), &params);
        let start = self.program.ops.len();
        self.enter_op(format!("{}/{word}", result.name), self.graph.kind(result).to_owned(), op)?;
        self.enter(&skip.steps, lowered)?;
        let count = self.program.ops.len() - start - 1;
        if count == 0 {
            // Its layers only give tensors other shapes.
            self.program.ops.truncate(start);
        } else if let Some(op) = self.program.ops.get_mut(start) {
            let params = SkipIfParams { count: count as u32, ..params };
            op.lowered.params = bytemuck::cast_slice(&[params]).to_vec();
        }
        Ok(())
    }

    fn enter_node(&mut self, node: &Node, ops: Vec<Lowered>) -> Result<()> {
        let reader = format!("layer `{}`", node.name);
        if ops.is_empty() {
            let (Some(from), &[to]) = (node.input(0), &node.outputs[..]) else {
                return Err(Error::input(format!("{reader} has no operand or not one result")));
            };
            let tensor = self.read(from, &reader)?;
            if self.value(to).bytes() as u32 != self.program.tensors[tensor].bytes {
                return Err(Error::input(format!(
                    "{reader} gives {} bytes another shape of {} bytes",
                    self.program.tensors[tensor].bytes,
                    self.value(to).bytes()
                )));
            }
            self.place.insert(to, tensor);
            return Ok(());
        }
        let count = ops.len();
        for (index, lowered) in ops.into_iter().enumerate() {
            let name = match count - index - 1 {
                0 => node.name.clone(),
                _ => format!("{}/{index}", node.name),
            };
            self.enter_op(name, self.graph.kind(node).to_owned(), lowered)?;
        }
        Ok(())
    }

    fn enter_op(&mut self, name: String, kind: String, lowered: Lowered) -> Result<()> {
        let reader = format!("layer `{name}`");
        let mut inputs = Vec::new();
        for (position, &id) in lowered.inputs.iter().enumerate() {
            let tensor = self.read(id, &reader)?;
            // The first operand is what a layer computes with, the others are what it keeps.
            let own = states::reads_state(lowered.code) || (lowered.keeps && position > 0);
            inputs.push(if own { tensor } else { self.load(id, tensor)? });
        }
        let index = self.program.ops.len();
        for &tensor in &inputs {
            self.program.tensors[tensor].last_use = index;
        }
        let mut outputs = Vec::new();
        for &id in &lowered.outputs {
            if self.place.contains_key(&id) {
                let name = &self.value(id).name;
                return Err(Error::input(format!("{reader} computes tensor `{name}` a second time")));
            }
            outputs.push(self.add_tensor(id, Some(index), Home::Arena));
        }
        let name = self.unique(name);
        self.program.ops.push(DeviceOp { name, kind, lowered, inputs, outputs });
        Ok(())
    }

    /// A name that no op has yet.
    fn unique(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut number = 2;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{name}#{number}");
            number += 1;
        }
        candidate
    }

    fn enter_outputs(&mut self) -> Result<()> {
        for &id in &self.graph.outputs {
            let value = self.value(id).clone();
            let mut tensor = self.read(id, "the model's output")?;
            if self.program.tensors[tensor].writer.is_none() {
                tensor = self.copy(id, tensor)?;
            }
            self.program.outputs.push(Border { tensor, value });
        }
        distinguish(&mut self.program.outputs);
        Ok(())
    }

    /// The author's variables.
    fn enter_states(&mut self, steps: &[Step]) -> Result<()> {
        for state in &self.graph.states {
            let tensor = self.read(state.value, &format!("variable `{}`", state.name))?;
            let value = Value { name: state.name.clone(), ..self.value(state.value).clone() };
            self.program.variables.push(Border { tensor, value });
        }
        distinguish(&mut self.program.variables);
        if steps.iter().any(|step| matches!(step, Step::Skip(_))) {
            // What a branch copies is not there for what follows.
            for (number, state) in self.graph.states.iter().enumerate() {
                self.load(state.value, self.program.variables[number].tensor)?;
            }
        }
        Ok(())
    }

    /// A tensor that is no variable, and has a value's elements.
    fn load(&mut self, id: ValueId, tensor: usize) -> Result<usize> {
        if self.program.variables.iter().all(|variable| variable.tensor != tensor) {
            return Ok(tensor);
        }
        if let Some(&loaded) = self.loaded.get(&tensor) {
            return Ok(loaded);
        }
        let loaded = self.copy(id, tensor)?;
        // Whatever moves bytes goes on to read the state itself.
        self.place.insert(id, tensor);
        self.loaded.insert(tensor, loaded);
        Ok(loaded)
    }

    /// What variables become, behind all that reads them.
    fn enter_assigns(&mut self) -> Result<()> {
        for (number, state) in self.graph.states.iter().enumerate() {
            let variable = self.program.variables[number].tensor;
            let source = self.read(state.next, &format!("variable `{}`", state.name))?;
            if source == variable {
                continue;
            }
            self.load(state.next, source)?;
        }
        for (number, state) in self.graph.states.iter().enumerate() {
            let variable = self.program.variables[number].tensor;
            let source = self.read(state.next, &state.name)?;
            if source == variable {
                continue;
            }
            let source = self.load(state.next, source)?;
            let next = self.value(state.next);
            let params = AssignParams { source: (state.from * next.dtype.size()) as u32 };
            let (inputs, outputs) = (vec![source, variable], Vec::new());
            let lowered = Lowered::new(OpCode::Assign, vec![state.next, state.value], Vec::new(), &params);
            let (name, kind) = (self.unique(state.name.clone()), "ASSIGN_VARIABLE".to_owned());
            self.program.ops.push(DeviceOp { name, kind, lowered, inputs, outputs });
        }
        Ok(())
    }

    /// A copy of a tensor, for an output that is an input or a constant.
    fn copy(&mut self, id: ValueId, from: usize) -> Result<usize> {
        // The copy stands for the layer that gave the output its shape, if there is one.
        let source = self.graph.nodes.iter().find(|node| node.outputs.contains(&id));
        let (name, kind) = match source {
            Some(node) => (node.name.clone(), self.graph.kind(node).to_owned()),
            None => (self.value(id).name.clone(), "COPY".to_owned()),
        };
        let value = Value { constant: None, ..self.value(id).clone() };
        let to = ValueId(self.graph.values.len() + self.temporaries.len());
        self.temporaries.push(value);
        let cx = Lowering {
            graph: self.graph,
            constants: &mut self.program.constants,
            temporaries: &mut self.temporaries,
            states: &mut States::default(),
            rounding: ferrolite_schema::Rounding::Double,
            policy: Policy::PLAIN,
            winograd: &mut Tiled::default(),
        };
        let lowered = ops::copy(&cx, id, to)?;
        let index = self.program.ops.len();
        self.program.tensors[from].last_use = index;
        let output = self.add_tensor(to, Some(index), Home::Arena);
        let name = self.unique(name);
        self.program.ops.push(DeviceOp { name, kind, lowered, inputs: vec![from], outputs: vec![output] });
        // An output that is listed twice is copied once.
        self.place.insert(id, output);
        Ok(output)
    }

    fn finish(mut self) -> Result<Program> {
        let ops = self.program.ops.len();
        if ops >= 0x8000 || self.program.tensors.len() > 0xFFFF {
            return Err(Error::input(format!(
                "the model becomes {ops} ops on {} tensors; at most 32,767 and 65,535 are supported",
                self.program.tensors.len()
            )));
        }
        for output in &self.program.outputs {
            self.program.tensors[output.tensor].last_use = ops;
        }
        self.program.number_constants_last();
        Ok(self.program)
    }
}

impl Program {
    /// Gives tensors the numbers that the format asks for: those of the arena in the order in which they
    /// are written, as they are, and constants and state behind them, the state in its order.
    fn number_constants_last(&mut self) {
        let mut order: Vec<usize> = (0..self.tensors.len()).collect();
        order.sort_by_key(|&tensor| match self.tensors[tensor].home {
            Home::Arena => 0,
            Home::Constants(_) => 1,
            Home::State(place) => 2 + u64::from(place),
        });
        let mut numbers = vec![0; order.len()];
        for (number, &tensor) in order.iter().enumerate() {
            numbers[tensor] = number;
        }
        self.tensors = order.iter().map(|&tensor| self.tensors[tensor].clone()).collect();
        let operands = self.ops.iter_mut().flat_map(|op| op.inputs.iter_mut().chain(&mut op.outputs));
        let borders = self.inputs.iter_mut().chain(&mut self.outputs).chain(&mut self.variables);
        let borders = borders.map(|border| &mut border.tensor);
        for tensor in operands.chain(borders) {
            *tensor = numbers[*tensor];
        }
    }
}

impl DeviceTensor {
    /// Whether the plan gives it a place.
    pub fn in_arena(&self) -> bool {
        self.home == Home::Arena
    }

    /// Alignment in the arena: 4 at least, so that copies can move words.
    pub fn align(&self) -> u32 {
        if self.value.dtype == DType::Int64 { 8 } else { 4 }
    }
}
