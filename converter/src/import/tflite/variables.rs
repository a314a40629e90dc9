//! The variables of a file: which there are, and which of them an inference assigns.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{Value, ValueId};
use crate::import::entries::Touched;
use crate::tflite::{self as schema, BuiltinOperator as Code};

/// Container and name.
type Key = (String, String);

/// The variables of a file.
#[derive(Default)]
pub(super) struct Variables {
    pub(super) all: Vec<Variable>,
    by_key: HashMap<Key, usize>,
    /// The variable of each handle.
    pub(super) handles: HashMap<ValueId, usize>,
    /// Those that an inference assigns; `None` where that is not known of some.
    assigned: Option<HashSet<Key>>,
    /// Whether the subgraph of CALL_ONCE is being read.
    pub(super) starting: bool,
}

pub(super) struct Variable {
    pub(super) key: Key,
    /// Whether an inference may assign it.
    pub(super) is_assigned: bool,
    /// What CALL_ONCE makes it.
    pub(super) initial: Option<Value>,
    /// Its value when an inference begins, if something reads that.
    pub(super) first: Option<ValueId>,
    /// Its value where the file is being read.
    pub(super) current: Option<ValueId>,
    /// Whether an inference reads it, and assigns it.
    pub(super) touched: (bool, bool),
}

impl Variables {
    /// Looks for what assigns variables at run time.
    pub(super) fn of(model: &schema::Model<'_>) -> Variables {
        Variables { assigned: assigned(model), ..Variables::default() }
    }

    /// What inferences do with the variables.
    pub(super) fn touched(&self) -> Touched {
        let names = |is: fn(&Variable) -> bool| -> BTreeSet<String> {
            self.all.iter().filter(|variable| is(variable)).map(|variable| whole(&variable.key)).collect()
        };
        Touched { assigned: names(|variable| variable.touched.1), read: names(|variable| variable.touched.0) }
    }

    /// The values of all variables where the file is being read.
    pub(super) fn current(&self) -> Vec<Option<ValueId>> {
        self.all.iter().map(|variable| variable.current).collect()
    }

    /// Goes back to values of before; variables that are new since then have none.
    pub(super) fn set_current(&mut self, current: &[Option<ValueId>]) {
        let values = current.iter().copied().chain(std::iter::repeat(None));
        self.all.iter_mut().zip(values).for_each(|(variable, value)| variable.current = value);
    }

    /// The number of a variable, new or not.
    pub(super) fn number(&mut self, key: Key) -> usize {
        let is_assigned = self.assigned.as_ref().is_none_or(|all| all.contains(&key));
        let number = *self.by_key.entry(key.clone()).or_insert(self.all.len());
        if number == self.all.len() {
            self.all.push(Variable {
                key,
                is_assigned,
                initial: None,
                first: None,
                current: None,
                touched: (false, false),
            });
        }
        number
    }
}

/// The variables that subgraphs assign which CALL_ONCE does not run; `None` where a handle comes from elsewhere.
fn assigned(model: &schema::Model<'_>) -> Option<HashSet<Key>> {
    let code = |operator: &schema::Operator<'_>| {
        let codes = model.operator_codes().filter(|codes| (operator.opcode_index() as usize) < codes.len());
        codes.map_or(Code(-1), |codes| codes.get(operator.opcode_index() as usize).number())
    };
    let subgraphs: Vec<_> = model.subgraphs().into_iter().flatten().collect();
    let operators = subgraphs.iter().map(|subgraph| subgraph.operators().into_iter().flatten());
    let operators: Vec<Vec<schema::Operator<'_>>> = operators.map(Iterator::collect).collect();
    let at_start: HashSet<i32> = operators
        .iter()
        .flatten()
        .filter_map(|operator| operator.builtin_options_as_call_once_options())
        .map(|options| options.init_subgraph_index())
        .collect();
    let mut found = HashSet::new();
    for (_, operators) in (0i32..).zip(&operators).filter(|(number, _)| !at_start.contains(number)) {
        let mut handles: HashMap<i32, Key> = HashMap::new();
        for operator in operators {
            match code(operator) {
                Code::VAR_HANDLE => {
                    let handle = operator.outputs().and_then(|outputs| outputs.iter().next());
                    handles.extend(handle.zip(key(operator)));
                }
                Code::ASSIGN_VARIABLE => {
                    let handle = operator.inputs().and_then(|inputs| inputs.iter().next())?;
                    found.insert(handles.get(&handle)?.clone());
                }
                _ => {}
            }
        }
    }
    Some(found)
}

/// Container and name as one word.
pub(super) fn whole((container, name): &Key) -> String {
    format!("{}/{name}", container.replace('/', "_"))
}

/// Container and name that a VAR_HANDLE says.
pub(super) fn key(operator: &schema::Operator<'_>) -> Option<Key> {
    let options = operator.builtin_options_as_var_handle_options()?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_string();
    Some((text(options.container()), text(options.shared_name())))
}
