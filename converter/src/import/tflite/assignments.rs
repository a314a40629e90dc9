//! Variables: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE and CALL_ONCE; and CIRCULAR_BUFFER, which has its own.
//!
//! A variable that something assigns at run time becomes a state of the graph: its first READ is the state's value, an
//! ASSIGN only says what later READs see, and what the last one said is what the state keeps. So the order of reads and
//! writes is in the graph's edges. A variable that only the subgraph of CALL_ONCE assigns is a constant.
//!
//! As in TensorFlow Lite Micro, a variable has a container and a name, handles of one name are one variable, and one that
//! CALL_ONCE does not assign begins with zeros. Bytes of a quantized variable are kept as they are.

use std::collections::{BTreeSet, HashSet};

use super::builder::Builder;
use super::flexbuffer;
use super::layer::Reason;
use super::variables::{key, whole};
use crate::graph::{
    Activation, Choose, Concat, Constant, DType, Node, Op, State, Unsupported, Value, ValueId,
};
use crate::import::tied::zeros;
use crate::tflite::{self as schema, BuiltinOperator as Code};

/// What is wrong with a variable that is only read, and never gets a value.
const LOST: &str = "nothing in the file gives this variable its value, which TensorFlow's converter has \
                               lost: convert the SavedModel that the file was made from";

/// TensorFlow Lite Micro's name of the operator.
pub(super) const CIRCULAR_BUFFER: &str = "CIRCULAR_BUFFER";

impl Builder {
    /// Reads an operator on variables.
    pub(super) fn translate_variable(&mut self, code: Code, operator: schema::Operator<'_>, node: Node) {
        let done = match code {
            Code::VAR_HANDLE => self.handle(operator, &node),
            Code::READ_VARIABLE => self.read_variable(&node),
            _ => self.assign_variable(&node),
        };
        if let Err(reason) = done {
            let code = code.variant_name().unwrap_or_default().to_string();
            self.graph.nodes.push(Node { op: Op::Unsupported(Unsupported { code, reason }), ..node });
        }
    }

    fn handle(&mut self, operator: schema::Operator<'_>, node: &Node) -> Result<(), Reason> {
        let (Some(key), &[output]) = (key(&operator), &node.outputs[..]) else {
            return Err("it has no name, or not one result".into());
        };
        let number = self.variables.number(key);
        self.variables.handles.insert(output, number);
        Ok(())
    }

    /// The variable of the first operand.
    fn variable(&self, node: &Node) -> Result<usize, Reason> {
        let number = node.input(0).and_then(|handle| self.variables.handles.get(&handle));
        number.copied().ok_or_else(|| "its variable comes from another subgraph".into())
    }

    fn read_variable(&mut self, node: &Node) -> Result<(), Reason> {
        let (number, &[output]) = (self.variable(node)?, &node.outputs[..]) else {
            return Err("it has not one result".into());
        };
        if let Some(fault) = self.faults.get(output.0).cloned().flatten() {
            return Err(fault);
        }
        let starting = self.variables.starting;
        self.variables.all[number].touched.0 |= !starting;
        let variable = &self.variables.all[number];
        if starting || !variable.is_assigned {
            let initial = variable.initial.as_ref().ok_or(LOST)?;
            let constant =
                initial.constant.clone().filter(|_| same_elements(initial, self.graph.value(output)));
            let constant = constant.ok_or("the variable has another type or size than what is read")?;
            self.graph.value_mut(output).constant = Some(constant);
            return Ok(());
        }
        let Some(current) = variable.current.or(variable.first) else {
            if let Some(initial) = &variable.initial
                && !same_elements(initial, self.graph.value(output))
            {
                return Err("the variable has another type or size than what is read".into());
            }
            let variable = &mut self.variables.all[number];
            (variable.first, variable.current) = (Some(output), Some(output));
            return Ok(());
        };
        self.expect_same(current, output)?;
        let node = Node { op: Op::Reshape, inputs: vec![Some(current)], ..node.clone() };
        self.graph.nodes.push(node);
        Ok(())
    }

    fn assign_variable(&mut self, node: &Node) -> Result<(), Reason> {
        let (number, Some(value)) = (self.variable(node)?, node.input(1)) else {
            return Err("it has no operand".into());
        };
        if let Some(fault) = self.faults.get(value.0).cloned().flatten() {
            return Err(fault);
        }
        if self.variables.starting {
            let value = self.graph.value(value);
            if value.constant.is_none() {
                return Err("what the variable begins with cannot be computed now".into());
            }
            self.variables.all[number].initial = Some(value.clone());
            return Ok(());
        }
        self.variables.all[number].touched.1 = true;
        if let Some(first) = self.variables.all[number].first {
            self.expect_same(first, value)?;
        }
        self.variables.all[number].current = Some(value);
        Ok(())
    }

    /// Reads a CIRCULAR_BUFFER of TensorFlow Lite Micro: its result is the last slots of a stream, one more with each
    /// inference. All slots begin as bytes of zero, as the memory does that TensorFlow Lite Micro keeps them in.
    pub(super) fn translate_buffer(&mut self, operator: schema::Operator<'_>, node: Node) {
        if let Err(reason) = self.buffer(operator, &node) {
            let code = format!("custom {CIRCULAR_BUFFER}");
            self.graph.nodes.push(Node { op: Op::Unsupported(Unsupported { code, reason }), ..node });
        }
    }

    fn buffer(&mut self, operator: schema::Operator<'_>, node: &Node) -> Result<(), Reason> {
        let (&[Some(input)], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
            return Err("it has not one operand and one result".into());
        };
        let (x, y) = (self.graph.value(input), self.graph.value(output));
        let (&[batch, 1, width, depth], &[out_batch, slots, out_width, out_depth]) =
            (&x.shape[..], &y.shape[..])
        else {
            return Err(format!("its shapes are {:?} and {:?}", x.shape, y.shape));
        };
        let same =
            (batch, width, depth) == (out_batch, out_width, out_depth) && x.quantization == y.quantization;
        if !same || batch != 1 || slots < 2 || (x.dtype, y.dtype) != (DType::Int8, DType::Int8) {
            return Err("operand and result have other types, scales or shapes than a buffer's".into());
        }
        let options = operator.custom_options().map_or(&[][..], |options| options.bytes());
        // Where the file does not say how often the model goes on behind the buffer, the number of slots does.
        let options = flexbuffer::map(options).unwrap_or_default();
        let said = options.iter().find(|(key, cycles)| key == "cycles_max" && *cycles > 0.0);
        let usual = if [5, 13, 25].contains(&slots) { 1.0 } else { 2.0 };
        let cycles = said.map_or(usual, |&(_, cycles)| cycles);
        if cycles != 1.0 {
            return Err(format!("what follows runs in one of {cycles} inferences only"));
        }
        let initial = Constant::I8(vec![0; (slots - 1) * width * depth]);
        let old = Value {
            name: format!("{}/slots", node.name),
            shape: vec![1, slots - 1, width, depth],
            ..x.clone()
        };
        let old = self.value(old);
        let op = Op::Concat(Concat { axis: 1, activation: Activation::None });
        self.graph.nodes.push(Node { op, inputs: vec![Some(old), Some(input)], ..node.clone() });
        let (name, from) = (node.name.clone(), width * depth);
        self.graph.states.push(State { name, value: old, initial, next: output, from });
        Ok(())
    }

    /// Refuses two values of one variable whose bytes mean other numbers.
    fn expect_same(&self, a: ValueId, b: ValueId) -> Result<(), Reason> {
        let (a, b) = (self.graph.value(a), self.graph.value(b));
        if !same_elements(a, b) || a.quantization != b.quantization {
            return Err(format!(
                "`{}` and `{}` are one variable, and have other types or scales",
                a.name, b.name
            ));
        }
        Ok(())
    }

    /// Computes nodes from this one on, which CALL_ONCE runs.
    pub(super) fn compute_from(&mut self, first: usize) {
        for node in self.graph.nodes.split_off(first) {
            match crate::passes::constants::evaluate(&self.graph, &node) {
                Some(results) => {
                    for (&id, constant) in node.outputs.iter().zip(results) {
                        self.graph.value_mut(id).constant = Some(constant);
                    }
                }
                None => self.graph.nodes.push(node),
            }
        }
    }

    /// Joins what the branches of an IF made of variables: each that they left with different values is a choice.
    pub(super) fn join_variables(
        &mut self,
        name: &str,
        (condition, block): (ValueId, usize),
        branches: [Vec<Option<ValueId>>; 2],
    ) {
        for number in 0..self.variables.all.len() {
            let first = self.variables.all[number].first;
            let left = |branch: &Vec<Option<ValueId>>| branch.get(number).copied().flatten().or(first);
            let (then, other) = match branches.each_ref().map(left) {
                [then, other] if then == other => {
                    self.variables.all[number].current = then;
                    continue;
                }
                [Some(then), Some(other)] => (then, other),
                // One branch leaves what was there before, which nothing has read.
                [then, other] => {
                    let Some(like) = then.or(other).map(|one| self.graph.value(one).clone()) else {
                        continue;
                    };
                    let before = self.value(Value { constant: None, ..like });
                    self.variables.all[number].first = Some(before);
                    (then.unwrap_or(before), other.unwrap_or(before))
                }
            };
            self.variables.all[number].current = Some(self.join(name, (condition, block), [then, other]));
        }
    }

    fn join(
        &mut self,
        name: &str,
        (condition, block): (ValueId, usize),
        [then, other]: [ValueId; 2],
    ) -> ValueId {
        let name = format!("{name}/{}", self.graph.value(then).name);
        let joined = Value { name: name.clone(), constant: None, ..self.graph.value(then).clone() };
        let joined = self.value(joined);
        let inputs = vec![Some(condition), Some(then), Some(other)];
        let op = Op::Choose(Choose { block });
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![joined] });
        joined
    }

    /// Enters the variables that inferences read before they assign them among the graph's states, and those that others
    /// read, too.
    pub(super) fn finish_variables(&mut self, notes: &mut Vec<String>, shared: &BTreeSet<String>) {
        let mut names: HashSet<String> = self.graph.states.iter().map(|state| state.name.clone()).collect();
        for (number, variable) in std::mem::take(&mut self.variables.all).into_iter().enumerate() {
            let Some(next) = variable.current else { continue };
            let value = match variable.first {
                Some(value) => value,
                None if shared.contains(&whole(&variable.key)) => {
                    let like = self.graph.value(next).clone();
                    self.value(Value { name: variable.key.1.clone(), constant: None, ..like })
                }
                None => continue,
            };
            let mut name = match variable.key {
                (_, name) if name.is_empty() => format!("variable_{number}"),
                (container, name) if names.contains(&name) => format!("{container}/{name}"),
                (_, name) => name,
            };
            while !names.insert(name.clone()) {
                name += "_";
            }
            let initial = variable.initial.and_then(|initial| initial.constant);
            if initial.is_none() {
                notes.push(format!("the file does not say what variable `{name}` begins with: zeros"));
            }
            let Some(initial) = initial.or_else(|| zeros(self.graph.value(value))) else { continue };
            self.graph.states.push(State { name, value, initial, next, from: 0 });
        }
    }
}

fn same_elements(a: &Value, b: &Value) -> bool {
    a.dtype == b.dtype && a.elements() == b.elements()
}
