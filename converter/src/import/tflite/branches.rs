//! Subgraphs that are read in an operator's place.
//!
//! IF: the subgraphs of both branches are read in its place, and each of its results becomes a choice between what
//! they make. Where the condition is known now, the branch that it takes is all that is read.
//!
//! WHILE: the rounds of a loop follow one another, where how many there are is known when the file is read.

use std::collections::{HashMap, HashSet};

use super::assignments::CIRCULAR_BUFFER;
use super::builder::Builder;
use super::lists::Lists;
use super::tensors::Whose;
use super::{detection, operators, tensors};
use crate::error::Result;
use crate::graph::{Choose, Constant, Node, Op, Unsupported, ValueId};
use crate::import::damaged::damaged;
use crate::tflite::{self as schema, BuiltinOperator as Code};

/// How often subgraphs may be read, so that a small file cannot become any size.
const MOST: usize = 256;

/// Most rounds of a loop.
const MOST_ROUNDS: usize = 4096;

/// Most nodes that rounds may leave.
const MOST_NODES: usize = 200_000;

/// The subgraphs of a file, as far as they are branches.
pub(super) struct Branches<'a, 'f> {
    pub model: &'a schema::Model<'f>,
    file: &'a [u8],
    /// Numbers of the subgraphs that are being read, the outermost first.
    open: Vec<usize>,
    /// Numbers of all that have been read.
    read: HashSet<usize>,
    /// How many may still be read.
    left: usize,
    /// Number of the next IF.
    block: usize,
    /// What loops keep rows in.
    lists: Lists,
    /// Constants of subgraphs, by their number and that of the tensor: rounds of a loop share them.
    constants: HashMap<(usize, usize), ValueId>,
}

impl<'a, 'f> Branches<'a, 'f> {
    /// Those of a file whose subgraph `first` is being read.
    pub(super) fn of(model: &'a schema::Model<'f>, file: &'a [u8], first: usize) -> Branches<'a, 'f> {
        Branches {
            model,
            file,
            open: vec![first],
            read: HashSet::from([first]),
            left: MOST,
            block: 0,
            lists: Lists::default(),
            constants: HashMap::new(),
        }
    }

    /// How many subgraphs have been read.
    pub(super) fn read(&self) -> usize {
        self.read.len()
    }

    /// Reads operator `number` of the subgraph that `builder` reads.
    pub(super) fn add(
        &mut self,
        builder: &mut Builder,
        number: usize,
        operator: schema::Operator<'_>,
    ) -> Result<()> {
        let (code, node) = builder.begin(self.model, number, operator)?;
        if self.lists.take(builder, code.number(), operator, &node) {
            return Ok(());
        }
        if code.number() != Code::WHILE {
            node.inputs.iter().flatten().for_each(|&id| self.lists.write(builder, id));
        }
        let first = builder.graph.nodes.len();
        match (code.number(), &node.op) {
            (Code::IF, _) => self.choose(builder, operator, node)?,
            (Code::WHILE, _) => unroll(self, builder, operator, node)?,
            (Code::CALL_ONCE, _) => self.start(builder, operator, node)?,
            (Code::VAR_HANDLE | Code::READ_VARIABLE | Code::ASSIGN_VARIABLE, _) => {
                builder.translate_variable(code.number(), operator, node);
            }
            (Code::SVDF, _) if builder.is_float_svdf(&node) => builder.translate_float_svdf(operator, node),
            _ if operators::is_detection(&code) => detection::add(builder, operator, node),
            // The user's own.
            (_, Op::Custom(_)) => builder.graph.nodes.push(node),
            (Code::CUSTOM, _) if code.custom_code() == Some(CIRCULAR_BUFFER) => {
                builder.translate_buffer(operator, node);
            }
            _ => builder.translate(&code, operator, node),
        }
        if builder.variables.starting {
            builder.compute_from(first);
        }
        Ok(())
    }

    /// Reads the subgraph of a CALL_ONCE, which gives variables their first values.
    fn start(&mut self, builder: &mut Builder, operator: schema::Operator<'_>, node: Node) -> Result<()> {
        let name = &node.name;
        let Some(options) = operator.builtin_options_as_call_once_options() else {
            return Err(damaged(format!("layer `{name}` (CALL_ONCE) has no subgraph")));
        };
        let outer = std::mem::replace(&mut builder.variables.starting, true);
        let read = self.branch(builder, options.init_subgraph_index(), &[], &format!("{name}/start"));
        builder.variables.starting = outer;
        if let Err(reason) = read? {
            let op = Op::Unsupported(Unsupported { code: "CALL_ONCE".into(), reason });
            builder.graph.nodes.push(Node { op, ..node });
        }
        Ok(())
    }

    /// Reads an IF, whose operands and results `node` has.
    fn choose(&mut self, builder: &mut Builder, operator: schema::Operator<'_>, node: Node) -> Result<()> {
        let name = &node.name;
        let Some(options) = operator.builtin_options_as_if_options() else {
            return Err(damaged(format!("layer `{name}` (IF) has no subgraphs")));
        };
        let subgraphs = [options.then_subgraph_index(), options.else_subgraph_index()];
        let Some((Some(condition), operands)) = node.inputs.split_first() else {
            return Err(damaged(format!("layer `{name}` (IF) has no condition")));
        };
        let Some(operands) = operands.iter().copied().collect::<Option<Vec<ValueId>>>() else {
            return Err(damaged(format!("layer `{name}` (IF) lacks an operand")));
        };
        let block = self.block;
        self.block += 1;
        let known = match builder.graph.constant(Some(*condition)) {
            Some(Constant::Bool(truth)) => truth.first().copied(),
            _ => None,
        };
        let mut results = Vec::new();
        let before = builder.variables.current();
        let mut variables = Vec::new();
        for (number, (word, holds)) in subgraphs.into_iter().zip([("then", true), ("else", false)]) {
            if known.is_some_and(|known| known != holds) {
                continue;
            }
            let whole = format!("{name}/{word}");
            builder.variables.set_current(&before);
            let made = self.branch(builder, number, &operands, &whole)?;
            variables.push(builder.variables.current());
            match made {
                Ok(made) if made.len() == node.outputs.len() => results.push(made),
                Ok(made) => {
                    return Err(damaged(format!(
                        "layer `{name}` (IF) has {} results, its branch makes {}",
                        node.outputs.len(),
                        made.len()
                    )));
                }
                Err(reason) => {
                    let op = Op::Unsupported(Unsupported { code: "IF".into(), reason });
                    builder.graph.nodes.push(Node { op, ..node });
                    return Ok(());
                }
            }
        }
        // Where the condition is known, one branch has been read, and what it left is there.
        if let Ok(branches) = <[_; 2]>::try_from(variables) {
            builder.join_variables(name, (*condition, block), branches);
        }
        for (position, &output) in node.outputs.iter().enumerate() {
            let made = results.iter().map(|made| Some(made[position]));
            let (op, inputs) = match known {
                Some(_) => (Op::Reshape, made.collect()),
                None => {
                    (Op::Choose(Choose { block }), std::iter::once(Some(*condition)).chain(made).collect())
                }
            };
            let name = builder.layer_names[output.0].clone();
            builder.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        }
        Ok(())
    }

    /// Reads a subgraph on these operands; gives its results, or why it cannot be converted.
    fn branch(
        &mut self,
        builder: &mut Builder,
        number: i32,
        operands: &[ValueId],
        name: &str,
    ) -> Result<Result<Vec<ValueId>, String>> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let subgraphs = self.model.subgraphs().filter(|all| number < all.len());
        let Some(subgraph) = subgraphs.map(|all| all.get(number)) else {
            return Err(damaged(format!("`{name}` is subgraph {number}, which does not exist")));
        };
        if self.open.contains(&number) {
            return Err(damaged(format!("`{name}` is subgraph {number}, which calls itself")));
        }
        // Rounds of loops are bounded by their own number.
        let Some(left) = self.left.checked_sub(usize::from(self.lists.depth == 0)) else {
            return Ok(Err(format!("the model has more than {MOST} branches")));
        };
        self.left = left;
        self.read.insert(number);
        let operators: Vec<schema::Operator<'_>> = subgraph.operators().into_iter().flatten().collect();
        let inputs: Vec<i32> = subgraph.inputs().into_iter().flatten().collect();
        let outputs: Vec<i32> = subgraph.outputs().into_iter().flatten().collect();
        if inputs.len() != operands.len() {
            return Err(damaged(format!(
                "`{name}` takes {} operands, and is given {}",
                inputs.len(),
                operands.len()
            )));
        }
        let results = operators.iter().filter_map(|operator| operator.outputs()).flatten();
        let written: HashSet<usize> =
            results.chain(inputs.iter().copied()).filter_map(|index| usize::try_from(index).ok()).collect();
        let tensors = tensors::read(self.model, &subgraph, self.file, &written, Whose::Branch(name))?;

        let mut scope = builder.add_values(tensors, &written);
        if self.lists.depth > 0 {
            for (tensor, id) in scope.iter_mut().enumerate() {
                if builder.graph.value(*id).constant.is_some() {
                    let own = *id;
                    *id = *self.constants.entry((number, tensor)).or_insert(own);
                    if *id != own {
                        builder.graph.value_mut(own).constant = None;
                    }
                }
            }
        }
        for (&index, &operand) in inputs.iter().zip(operands) {
            let inner = usize::try_from(index).ok().and_then(|index| scope.get_mut(index));
            let Some(inner) = inner else {
                return Err(damaged(format!(
                    "the inputs of `{name}` name tensor {index}, which does not exist"
                )));
            };
            let (given, asked) = (builder.graph.value(operand), builder.graph.value(*inner));
            let is_open = |at: usize| builder.open[inner.0].get(at).copied().unwrap_or(false);
            let dims = given.shape.iter().zip(&asked.shape).enumerate();
            let same = given.dtype == asked.dtype
                && given.shape.len() == asked.shape.len()
                && dims.into_iter().all(|(at, (given, asked))| given == asked || is_open(at));
            if !same || given.quantization != asked.quantization {
                return Ok(Err(format!(
                    "its operand `{}` has another type, shape or scale in `{name}`",
                    given.name
                )));
            }
            *inner = operand;
        }
        let outer = std::mem::replace(&mut builder.scope, scope);
        self.open.push(number);
        for (place, operator) in operators.into_iter().enumerate() {
            self.add(builder, place, operator)?;
        }
        self.open.pop();
        let inner = std::mem::replace(&mut builder.scope, outer);
        let result = |index: i32| {
            let id = usize::try_from(index).ok().and_then(|index| inner.get(index)).copied();
            id.filter(|id| builder.defined[id.0])
                .ok_or_else(|| damaged(format!("`{name}` gives tensor {index}, which nothing has written")))
        };
        Ok(Ok(outputs.into_iter().map(result).collect::<Result<_>>()?))
    }
}

/// Reads a WHILE, whose operands and results `node` has.
fn unroll(
    branches: &mut Branches<'_, '_>,
    builder: &mut Builder,
    operator: schema::Operator<'_>,
    node: Node,
) -> Result<()> {
    let name = &node.name;
    // Without subgraphs it is what the operators' list says of it.
    let Some(options) = operator.builtin_options_as_while_options() else {
        return refuse(builder, node, operators::LOOP.into());
    };
    let [condition, body] = [options.cond_subgraph_index(), options.body_subgraph_index()];
    let Some(mut variables) = node.inputs.iter().copied().collect::<Option<Vec<ValueId>>>() else {
        return Err(damaged(format!("layer `{name}` (WHILE) lacks an operand")));
    };
    if variables.len() != node.outputs.len() {
        return Err(damaged(format!(
            "layer `{name}` (WHILE) has {} operands and {} results",
            variables.len(),
            node.outputs.len()
        )));
    }
    branches.lists.depth += 1;
    let rounds = rounds(branches, builder, [condition, body], &mut variables, name);
    branches.lists.depth -= 1;
    if let Err(reason) = rounds? {
        return refuse(builder, node, reason);
    }
    for (&output, made) in node.outputs.iter().zip(variables) {
        branches.lists.write(builder, made);
        let value = builder.graph.value(made).clone();
        let (name, target) = (builder.layer_names[output.0].clone(), builder.graph.value_mut(output));
        (target.shape, target.constant) = (value.shape, value.constant);
        if target.constant.is_none() {
            let inputs = vec![Some(made)];
            builder.graph.nodes.push(Node { name, op: Op::Reshape, inputs, outputs: vec![output] });
        }
    }
    Ok(())
}

/// Reads all rounds; `variables` become what they are behind the last one. Gives why that cannot be, if it cannot.
fn rounds(
    branches: &mut Branches<'_, '_>,
    builder: &mut Builder,
    [condition, body]: [i32; 2],
    variables: &mut Vec<ValueId>,
    name: &str,
) -> Result<Result<(), String>> {
    for round in 0..=MOST_ROUNDS {
        let again = branches.branch(builder, condition, variables, &format!("{name}/cond/step_{round}"))?;
        let again = match again {
            Ok(again) => again,
            Err(reason) => return Ok(Err(reason)),
        };
        match builder.graph.constant(again.first().copied()) {
            Some(Constant::Bool(again)) if again.first() == Some(&false) => return Ok(Ok(())),
            Some(Constant::Bool(_)) => {}
            _ => return Ok(Err(format!("how often it runs is not known; {}", operators::LOOP))),
        }
        match branches.branch(builder, body, variables, &format!("{name}/step_{round}"))? {
            Ok(made) if made.len() == variables.len() => *variables = made,
            Ok(made) => {
                return Err(damaged(format!(
                    "layer `{name}` (WHILE) has {} variables, its body makes {}",
                    variables.len(),
                    made.len()
                )));
            }
            Err(reason) => return Ok(Err(reason)),
        }
        if builder.graph.nodes.len() > MOST_NODES {
            break;
        }
    }
    Ok(Err(format!("it runs too long for a microcontroller; {}", operators::LOOP)))
}

fn refuse(builder: &mut Builder, node: Node, reason: String) -> Result<()> {
    let op = Op::Unsupported(Unsupported { code: "WHILE".into(), reason });
    builder.graph.nodes.push(Node { op, ..node });
    Ok(())
}
