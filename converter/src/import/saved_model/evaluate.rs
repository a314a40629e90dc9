//! Visits a graph from the wanted results back to its inputs, and evaluates every node on the way once:
//! results that are known at import are computed, the others become layers. Functions are evaluated where
//! they are called.

use std::collections::HashMap;
use std::rc::Rc;

use super::kept::{self, Kept};
use super::known::{Known, count};
use super::library::{Attributes, Body, DEEPEST, Library, first_of, reference};
use super::proto::NodeDef;
use super::restore::Variables;
use super::tensor::{Layer, Tensor, Translation};
use crate::error::Error;
use crate::graph::ValueId;
use crate::import::build::Builder;
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Most nodes that are evaluated. Nodes of loops and functions count each time they run, and each 256
/// elements of known arrays count as one more.
const MOST_STEPS: usize = 400_000;

/// Most rounds of a loop.
pub(super) const MOST_ROUNDS: usize = 4096;

/// Which branches of a node were taken: the one for a true condition, and the other.
pub(super) type Taken = HashMap<*const NodeDef, [bool; 2]>;

/// Translates a node: computes its results, or adds the layer that it becomes.
pub(super) type Translate = fn(&mut Evaluator<'_>, &mut Layer<'_>) -> Translation;

/// Resolves calls, branches and loops; `None` for all other operators.
pub(super) type Control =
    for<'m> fn(&mut Evaluator<'m>, &'m NodeDef, &[Tensor]) -> Option<Result<Vec<Tensor>, Error>>;

/// How the evaluator treats operators.
pub(super) struct Operators {
    /// Resolves control flow.
    pub control: Control,
    /// Whether an operator is supported in some form.
    pub is_known: fn(&str) -> bool,
    /// Translates all other operators.
    pub translate: Translate,
}

/// The state while a model is read.
pub(super) struct Evaluator<'m> {
    pub library: &'m Library<'m>,
    pub variables: Variables<'m>,
    /// The variables that are state.
    pub kept: Kept<'m>,
    pub builder: Builder,
    pub notes: Vec<String>,
    /// Suffix for the names of nodes that are evaluated several times.
    pub suffix: String,
    /// The scope of the call of the current function, since the names of a function's nodes may not contain
    /// it.
    pub scope: String,
    /// Constants that are already in the graph, by array and layout. The arrays are kept alive, so that no
    /// other array gets the same address.
    pub constants: HashMap<(*const Known, &'static str), (Rc<Known>, ValueId)>,
    /// The branches that were taken.
    pub taken: Taken,
    /// How many branches both ways of which were read.
    pub blocks: usize,
    operators: Operators,
    names: HashMap<String, usize>,
    calls: Vec<&'m str>,
    steps: usize,
}

impl<'m> Evaluator<'m> {
    pub(super) fn new(
        library: &'m Library<'m>,
        variables: Variables<'m>,
        builder: Builder,
        operators: Operators,
    ) -> Evaluator<'m> {
        Evaluator {
            library,
            variables,
            kept: Kept::default(),
            builder,
            notes: Vec::new(),
            suffix: String::new(),
            scope: String::new(),
            constants: HashMap::new(),
            taken: Taken::new(),
            blocks: 0,
            operators,
            names: HashMap::new(),
            calls: Vec::new(),
            steps: 0,
        }
    }

    /// The tensors that `wanted` refers to. Those in `given` are known before.
    pub(super) fn evaluate(
        &mut self,
        body: &'m Body<'m>,
        given: HashMap<&'m str, Tensor>,
        wanted: &[&'m str],
    ) -> Result<Vec<Tensor>, Error> {
        let mut done: HashMap<&'m str, Vec<Tensor>> = given.into_iter().map(|(k, v)| (k, vec![v])).collect();
        let mut open: HashMap<&'m str, ()> = HashMap::new();
        // There is no recursion, because a chain of nodes may be longer than a thread's stack allows.
        let mut stack: Vec<(&'m NodeDef, usize)> = Vec::new();
        let effects = self.kept.effects(self.library, body);
        for &want in wanted.iter().chain(&effects) {
            let Some((name, _, _)) = reference(want).filter(|(name, ..)| !done.contains_key(name)) else {
                continue;
            };
            stack.push((node_of(body, name)?, 0));
            open.insert(name, ());
            while let Some((node, position)) = stack.last_mut() {
                let node = *node;
                let Some(input) = node.inputs.get(*position) else {
                    let inputs = node.inputs.iter().filter_map(|input| tensor_of(body, &done, input));
                    let inputs: Vec<Tensor> = inputs.collect::<Result<_, _>>()?;
                    let outputs = self.step(node, &inputs)?;
                    done.insert(&node.name, outputs);
                    open.remove(node.name.as_str());
                    stack.pop();
                    continue;
                };
                *position += 1;
                let Some(name) = self.awaited(body, input) else { continue };
                if done.contains_key(name) {
                    continue;
                }
                if open.insert(name, ()).is_some() {
                    return Err(damaged(format!("node `{name}` depends on itself")));
                }
                stack.push((node_of(body, name)?, 0));
            }
        }
        wanted
            .iter()
            .map(|want| {
                tensor_of(body, &done, want)
                    .unwrap_or_else(|| Err(damaged(format!("`{want}` is an output, but is not a tensor"))))
            })
            .collect()
    }

    /// The node that an input waits for. Control dependencies matter where variables are state.
    fn awaited(&self, body: &Body<'m>, input: &'m str) -> Option<&'m str> {
        match input.strip_prefix('^') {
            None => reference(input).map(|(name, ..)| name),
            Some(_) if self.kept.is_empty() => None,
            Some(name) => {
                body.nodes.get(name).filter(|node| kept::is_ordered(self.library, node)).map(|_| name)
            }
        }
    }

    /// Calls a function and returns its results.
    pub(super) fn call(&mut self, name: &str, arguments: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let library = self.library;
        let Some((&name, body)) = library.functions.get_key_value(name) else {
            return Err(damaged(format!("function `{name}` is called but not there")));
        };
        if self.calls.contains(&name) || self.calls.len() >= DEEPEST {
            return Err(damaged(format!("function `{name}` calls itself, or calls go too deep"))
                .help("recursive functions cannot be converted: export the model without them"));
        }
        if body.parameters.len() != arguments.len() {
            return Err(damaged(format!(
                "function `{name}` takes {} arguments and is given {}",
                body.parameters.len(),
                arguments.len()
            )));
        }
        let given = body.parameters.iter().copied().zip(arguments.iter().cloned()).collect();
        self.calls.push(name);
        let results = self.evaluate(body, given, &body.results);
        self.calls.pop();
        results
    }

    /// Calls `f` with a separate graph, so that no node is added to the model.
    pub(super) fn aside<T>(
        &mut self,
        builder: Builder,
        run: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> (Result<T, Error>, Builder) {
        let outer = std::mem::replace(&mut self.builder, builder);
        let constants = std::mem::take(&mut self.constants);
        let names = std::mem::take(&mut self.names);
        let (notes, kept) = (self.notes.len(), self.kept.clone());
        let result = run(self);
        self.notes.truncate(notes);
        self.kept = kept;
        self.names = names;
        self.constants = constants;
        (result, std::mem::replace(&mut self.builder, outer))
    }

    /// Evaluates one node, whose operands are known.
    fn step(&mut self, node: &'m NodeDef, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(damaged(format!("more than {MOST_STEPS} nodes have to be evaluated"))
                .help("loops and functions count as often as they run, large constants too: use fewer steps or layers"));
        }
        let within = |e: Error| e.context(format!("node `{}` ({})", node.name, node.op));
        if let Some(outcome) = (self.operators.control)(self, node, inputs) {
            return outcome;
        }
        let lost = inputs.iter().find_map(|t| if let Tensor::Lost(id) = t { Some(*id) } else { None });
        if let (Some(id), true) = (lost, (self.operators.is_known)(&node.op)) {
            return Ok(vec![Tensor::Lost(id)]);
        }
        let mut layer = Layer { node, inputs, name: self.layer_name(&node.name) };
        match (self.operators.translate)(self, &mut layer) {
            Ok(tensors) => {
                let known = |t: &Tensor| if let Tensor::Known(k) = t { k.data.len() } else { 0 };
                self.charge(tensors.iter().map(known).sum());
                Ok(tensors)
            }
            Err(refusal) => match refusal.reason() {
                Ok(reason) => self.unsupported(&layer, &reason),
                Err(error) if error.named_layer().is_some_and(|named| named.contains(&layer.name)) => {
                    Err(error)
                }
                Err(error) => Err(within(error)),
            },
        }
    }

    /// Counts the work of one node that makes many elements.
    pub(super) fn charge(&mut self, elements: usize) {
        self.steps += elements / 256;
    }

    /// Adds a layer that cannot be converted to the graph, so that all of them are reported together.
    pub(super) fn unsupported(&mut self, layer: &Layer<'_>, reason: &str) -> Result<Vec<Tensor>, Error> {
        let operands: Vec<ValueId> = layer
            .inputs
            .iter()
            .filter_map(|t| match t {
                Tensor::Value(id) | Tensor::Lost(id) => Some(*id),
                Tensor::Spaced(spaced) => Some(spaced.value),
                _ => None,
            })
            .collect();
        let shape = layer.node.shapes().and_then(|shapes| shapes.into_iter().next());
        let shape = shape.filter(|s| count(s).is_some());
        let like = operands.first().map(|&id| self.builder.shape(id).to_vec());
        let shape = shape.or(like).unwrap_or_else(|| vec![1]);
        let outputs = self.builder.unsupported(&layer.name, &layer.node.op, reason, &operands, vec![shape]);
        Ok(outputs.into_iter().map(Tensor::Lost).collect())
    }

    /// The author's name for a node, made unique if a function is called, or a loop runs, several times.
    pub(super) fn layer_name(&mut self, node: &str) -> String {
        let said =
            self.scope.is_empty() || node.strip_prefix(&*self.scope).is_some_and(|r| r.starts_with('/'));
        let name = if said { node.to_string() } else { format!("{}/{node}", self.scope) };
        let name = format!("{name}{}", self.suffix);
        let times = self.names.entry(name.clone()).or_default();
        *times += 1;
        if *times == 1 { name } else { format!("{name}_{}", *times - 1) }
    }

    /// A tensor as a value of the graph.
    pub(super) fn value(&mut self, tensor: &Tensor) -> Result<ValueId, Refusal> {
        match tensor {
            Tensor::Value(id) => Ok(*id),
            Tensor::Known(known) => self.constant(known, "as is", |known| known.clone()),
            Tensor::Spaced(spaced) => super::blocks::space_to_batch(&mut self.builder, spaced),
            Tensor::List(_) => Err("a list of tensors where one is needed".into()),
            _ => Err("an operand that is not an array of numbers".into()),
        }
    }

    /// A known array in some layout, added once for all of its readers.
    pub(super) fn constant(
        &mut self,
        known: &Rc<Known>,
        layout: &'static str,
        arrange: impl FnOnce(&Rc<Known>) -> Rc<Known>,
    ) -> Result<ValueId, Refusal> {
        let key = (Rc::as_ptr(known), layout);
        if let Some((_, id)) = self.constants.get(&key) {
            return Ok(*id);
        }
        let arranged = arrange(known);
        let id = self.builder.constant(&known.name, &arranged.shape, arranged.data.clone())?;
        self.constants.insert(key, (known.clone(), id));
        Ok(id)
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, tensor: &Tensor) -> Option<Vec<usize>> {
        match tensor {
            Tensor::Value(id) => Some(self.builder.shape(*id).to_vec()),
            Tensor::Known(known) => Some(known.shape.clone()),
            _ => None,
        }
    }
}

fn node_of<'m>(body: &Body<'m>, name: &str) -> Result<&'m NodeDef, Error> {
    body.nodes.get(name).copied().ok_or_else(|| damaged(format!("node `{name}` is read but not there")))
}

/// The tensor that a reference names; `None` for a control dependency.
fn tensor_of(
    body: &Body<'_>,
    done: &HashMap<&str, Vec<Tensor>>,
    text: &str,
) -> Option<Result<Tensor, Error>> {
    let (name, result, index) = reference(text)?;
    let first = body.nodes.get(name).map_or(0, |node| first_of(&node.op, result));
    let tensors = done.get(name).map(Vec::as_slice).unwrap_or_default();
    let tensor = match tensors {
        // All results of a lost layer are lost.
        [lost @ Tensor::Lost(_)] => Some(lost),
        tensors => tensors.get(first.saturating_add(index)),
    };
    Some(tensor.cloned().ok_or_else(|| damaged(format!("`{text}` is read, but `{name}` has no such result"))))
}
