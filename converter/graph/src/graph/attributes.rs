//! What attributes of operators are made of: activations, windows, and the kinds of function that operators
//! with one rule have.

/// A clamp that TFLite calls the fused activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// No clamp.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// The bounds in real numbers; infinite where there is none.
    pub fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        }
    }
}

/// A comparison of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareKind {
    /// `a < b`
    Less,
    /// `a <= b`
    LessEqual,
    /// `a > b`
    Greater,
    /// `a >= b`
    GreaterEqual,
    /// `a == b`
    Equal,
    /// `a != b`
    NotEqual,
}

impl CompareKind {
    /// All of them.
    pub const ALL: [CompareKind; 6] = [
        CompareKind::Less,
        CompareKind::LessEqual,
        CompareKind::Greater,
        CompareKind::GreaterEqual,
        CompareKind::Equal,
        CompareKind::NotEqual,
    ];

    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            CompareKind::Less => "LESS",
            CompareKind::LessEqual => "LESS_EQUAL",
            CompareKind::Greater => "GREATER",
            CompareKind::GreaterEqual => "GREATER_EQUAL",
            CompareKind::Equal => "EQUAL",
            CompareKind::NotEqual => "NOT_EQUAL",
        }
    }

    /// The comparison that an operator of TFLite, ONNX or TensorFlow has as its name.
    pub fn of(name: &str) -> Option<CompareKind> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase().replace("orequal", "equal");
        CompareKind::ALL.into_iter().find(|kind| plain(kind.name()) == plain(name))
    }

    /// What holds of `b` and `a` where this holds of `a` and `b`.
    #[must_use]
    pub fn flipped(self) -> CompareKind {
        match self {
            CompareKind::Less => CompareKind::Greater,
            CompareKind::LessEqual => CompareKind::GreaterEqual,
            CompareKind::Greater => CompareKind::Less,
            CompareKind::GreaterEqual => CompareKind::LessEqual,
            CompareKind::Equal | CompareKind::NotEqual => self,
        }
    }

    /// Whether it holds.
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            CompareKind::Less => a < b,
            CompareKind::LessEqual => a <= b,
            CompareKind::Greater => a > b,
            CompareKind::GreaterEqual => a >= b,
            CompareKind::Equal => a == b,
            CompareKind::NotEqual => a != b,
        }
    }
}

/// A function of truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicKind {
    /// Both hold.
    And,
    /// One of them holds, or both.
    Or,
    /// One of them holds, not both.
    Xor,
    /// Its one operand does not hold.
    Not,
}

impl LogicKind {
    /// The operator's name in the TFLite schema, or as it would be there.
    pub fn name(self) -> &'static str {
        match self {
            LogicKind::And => "LOGICAL_AND",
            LogicKind::Or => "LOGICAL_OR",
            LogicKind::Xor => "LOGICAL_XOR",
            LogicKind::Not => "LOGICAL_NOT",
        }
    }

    /// The function that an operator of TFLite, ONNX or TensorFlow has as its name.
    pub fn of(name: &str) -> Option<LogicKind> {
        let plain = name.replace('_', "").to_ascii_lowercase();
        Some(match plain.strip_prefix("logical").unwrap_or(&plain) {
            "and" => LogicKind::And,
            "or" => LogicKind::Or,
            "xor" => LogicKind::Xor,
            "not" => LogicKind::Not,
            _ => return None,
        })
    }

    /// Whether it has a second operand.
    pub fn is_binary(self) -> bool {
        self != LogicKind::Not
    }

    /// Whether it holds.
    pub fn holds(self, a: bool, b: bool) -> bool {
        match self {
            LogicKind::And => a && b,
            LogicKind::Or => a || b,
            LogicKind::Xor => a != b,
            LogicKind::Not => !a,
        }
    }
}

/// Pooling function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Mean over the cells of the window that lie inside the image.
    Average,
    /// Maximum.
    Max,
}

impl PoolKind {
    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            PoolKind::Average => "AVERAGE_POOL_2D",
            PoolKind::Max => "MAX_POOL_2D",
        }
    }
}

/// Functions of two tensors, element by element, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryKind {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `max(a, b)`
    Maximum,
    /// `min(a, b)`
    Minimum,
    /// `(a - b)^2`
    SquaredDifference,
    /// `a / b` of integers, rounded down
    FloorDiv,
    /// `a - b * floor(a / b)` of integers
    FloorMod,
}

impl BinaryKind {
    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            BinaryKind::Add => "ADD",
            BinaryKind::Sub => "SUB",
            BinaryKind::Mul => "MUL",
            BinaryKind::Div => "DIV",
            BinaryKind::Maximum => "MAXIMUM",
            BinaryKind::Minimum => "MINIMUM",
            BinaryKind::SquaredDifference => "SQUARED_DIFFERENCE",
            BinaryKind::FloorDiv => "FLOOR_DIV",
            BinaryKind::FloorMod => "FLOOR_MOD",
        }
    }
}

/// Reductions over some axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceKind {
    /// Arithmetic mean.
    Mean,
    /// Sum.
    Sum,
    /// Largest element.
    Max,
    /// Smallest element.
    Min,
}

impl ReduceKind {
    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Mean => "MEAN",
            ReduceKind::Sum => "SUM",
            ReduceKind::Max => "REDUCE_MAX",
            ReduceKind::Min => "REDUCE_MIN",
        }
    }
}

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryKind {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `min(max(x, -1), 1)`
    ReluN1To1,
    /// `x` above zero, `alpha * x` below
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `x` above zero, `alpha * (exp(x) - 1)` below
    Elu {
        /// Depth of the negative branch; 1 in TFLite.
        alpha: f32,
    },
    /// `gamma * x` above zero, `gamma * alpha * (exp(x) - 1)` below
    Selu {
        /// Depth of the negative branch.
        alpha: f32,
        /// Factor of both branches.
        gamma: f32,
    },
    /// `max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`
    Celu {
        /// Depth and width of the negative branch; not zero.
        alpha: f32,
    },
    /// `x` above `threshold`, else `value`
    Threshold {
        /// Elements up to and including this are replaced.
        threshold: f32,
        /// What replaces them.
        value: f32,
    },
    /// `min(max(x, min), max)`; see [`UnaryKind::clip`]
    Clip {
        /// Lower bound, or minus infinity.
        min: f32,
        /// Upper bound, or infinity.
        max: f32,
    },
    /// `x` moved towards zero by `lambda`, zero within
    SoftShrink {
        /// Half the width of the flat part.
        lambda: f32,
    },
    /// `x` outside of `-lambda..=lambda`, zero within
    HardShrink {
        /// Half the width of the flat part.
        lambda: f32,
    },
    /// `min(max(alpha * x + beta, 0), 1)`
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `alpha * x + beta`
    Affine {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `alpha * tanh(beta * x)`
    ScaledTanh {
        /// The largest value.
        alpha: f32,
        /// Factor of the argument.
        beta: f32,
    },
    /// `(x + sqrt(x * x + b)) / 2`
    Squareplus {
        /// Softness of the knee.
        b: f32,
    },
    /// `x` to a constant power
    Pow {
        /// The exponent.
        exponent: f32,
    },
    /// `x / (1 + exp(-x))`, also called swish
    Silu,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x * tanh(softplus(x))`
    Mish,
    /// `-ln(1 + exp(-x))`
    LogSigmoid,
    /// 0 up to -1, `(x + 1)^2 / 4` up to 1, `x` above
    SparsePlus,
    /// `x - tanh(x)`
    TanhShrink,
    /// The error function
    Erf,
    /// `1 / x`
    Reciprocal,
    /// `x * Phi(x)`; with `approximate`, the tanh form.
    Gelu {
        /// The tanh approximation instead of the error function.
        approximate: bool,
    },
    /// `1 / (1 + exp(-x))`
    Logistic,
    /// Hyperbolic tangent
    Tanh,
    /// `x * relu6(x + 3) / 6`
    HardSwish,
    /// `|x|`
    Abs,
    /// `-x`
    Neg,
    /// `exp(x)`
    Exp,
    /// Natural logarithm
    Log,
    /// Square root
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `x * x`
    Square,
    /// Sine
    Sin,
    /// Cosine
    Cos,
    /// Tangent
    Tan,
    /// Arc sine; no number outside of -1..=1
    Asin,
    /// Arc cosine; no number outside of -1..=1
    Acos,
    /// Arc tangent
    Atan,
    /// Hyperbolic sine
    Sinh,
    /// Hyperbolic cosine
    Cosh,
    /// Inverse hyperbolic sine
    Asinh,
    /// Inverse hyperbolic cosine; no number below 1
    Acosh,
    /// Inverse hyperbolic tangent; no number outside of -1..=1
    Atanh,
    /// `1 / sqrt(x)`, and 0 at zero: the factor of a norm, for which a vector of zeros stays one
    RsqrtOrZero,
    /// `1 / x`, and 0 at zero
    ReciprocalOrZero,
    /// Smallest integer not below
    Ceil,
    /// Largest integer not above
    Floor,
    /// Nearest integer, ties to even
    Round,
    /// -1, 0 or 1
    Sign,
}

impl UnaryKind {
    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            UnaryKind::Relu => "RELU",
            UnaryKind::Relu6 => "RELU6",
            UnaryKind::ReluN1To1 => "RELU_N1_TO_1",
            UnaryKind::LeakyRelu { .. } => "LEAKY_RELU",
            UnaryKind::Elu { .. } => "ELU",
            UnaryKind::Selu { .. } => "SELU",
            UnaryKind::Celu { .. } => "CELU",
            UnaryKind::Threshold { .. } => "THRESHOLD",
            UnaryKind::Clip { .. } => "CLIP",
            UnaryKind::SoftShrink { .. } => "SOFT_SHRINK",
            UnaryKind::HardShrink { .. } => "HARD_SHRINK",
            UnaryKind::HardSigmoid { .. } => "HARD_SIGMOID",
            UnaryKind::Affine { .. } => "AFFINE",
            UnaryKind::ScaledTanh { .. } => "SCALED_TANH",
            UnaryKind::Squareplus { .. } => "SQUAREPLUS",
            UnaryKind::Pow { .. } => "POW",
            UnaryKind::Silu => "SILU",
            UnaryKind::Softplus => "SOFTPLUS",
            UnaryKind::Softsign => "SOFTSIGN",
            UnaryKind::Mish => "MISH",
            UnaryKind::LogSigmoid => "LOG_SIGMOID",
            UnaryKind::SparsePlus => "SPARSE_PLUS",
            UnaryKind::TanhShrink => "TANH_SHRINK",
            UnaryKind::Erf => "ERF",
            UnaryKind::Reciprocal => "RECIPROCAL",
            UnaryKind::Gelu { .. } => "GELU",
            UnaryKind::Logistic => "LOGISTIC",
            UnaryKind::Tanh => "TANH",
            UnaryKind::HardSwish => "HARD_SWISH",
            UnaryKind::Abs => "ABS",
            UnaryKind::Neg => "NEG",
            UnaryKind::Exp => "EXP",
            UnaryKind::Log => "LOG",
            UnaryKind::Sqrt => "SQRT",
            UnaryKind::Rsqrt => "RSQRT",
            UnaryKind::Square => "SQUARE",
            UnaryKind::Sin => "SIN",
            UnaryKind::Cos => "COS",
            UnaryKind::Tan => "TAN",
            UnaryKind::Asin => "ASIN",
            UnaryKind::Acos => "ACOS",
            UnaryKind::Atan => "ATAN",
            UnaryKind::Sinh => "SINH",
            UnaryKind::Cosh => "COSH",
            UnaryKind::Asinh => "ASINH",
            UnaryKind::Acosh => "ACOSH",
            UnaryKind::Atanh => "ATANH",
            UnaryKind::RsqrtOrZero => "RSQRT",
            UnaryKind::ReciprocalOrZero => "RECIPROCAL",
            UnaryKind::Ceil => "CEIL",
            UnaryKind::Floor => "FLOOR",
            UnaryKind::Round => "ROUND",
            UnaryKind::Sign => "SIGN",
        }
    }

    /// A clamp by the name that it has where it has one: RELU, RELU6, RELU_N1_TO_1 or CLIP.
    pub fn clip(min: f32, max: f32) -> UnaryKind {
        match (min, max) {
            (0.0, f32::INFINITY) => UnaryKind::Relu,
            (0.0, 6.0) => UnaryKind::Relu6,
            (-1.0, 1.0) => UnaryKind::ReluN1To1,
            _ => UnaryKind::Clip { min, max },
        }
    }
}

/// What a recurrent layer computes at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h' = activation(W x + R h + b)`. One gate.
    Simple,
    /// Long short-term memory. Gates in the order input, forget, cell, output, as in TFLite and Keras:
    /// `c' = f * c + i * activation(g)`, `h' = o * output_activation(c')`.
    Lstm,
    /// Gated recurrent unit. Gates in the order update `z`, reset `r`, candidate `h`, as in Keras and
    /// ONNX: `h' = z * h + (1 - z) * activation(candidate)`.
    Gru {
        /// The candidate is `W x + b + r * (R h + rb)` rather than `W x + b + R (r * h) + rb`.
        reset_after: bool,
    },
}

impl Cell {
    /// The operator's name in the TFLite schema.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Simple => "UNIDIRECTIONAL_SEQUENCE_RNN",
            Cell::Lstm => "UNIDIRECTIONAL_SEQUENCE_LSTM",
            Cell::Gru { .. } => "GRU",
        }
    }

    /// Matrices that a layer of this kind stacks along the first dimension of its weights.
    pub fn gates(self) -> usize {
        match self {
            Cell::Simple => 1,
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
        }
    }
}

/// A recurrent layer in one direction: input `[batch, steps, features]`, weights `[gates * units, features]`, recurrent
/// weights `[gates * units, units]`, bias? `[gates * units]`, recurrent bias? `[gates * units]`, initial
/// hidden state? `[batch, units]`, initial cell state? `[batch, units]`, mask? (truth values `[batch, steps]`),
/// peepholes? (weights `[3 * units]` with which an LSTM's gates input, forget and output see the cell state) → sequence
/// `[batch, steps, units]`, then, where the node has more results, last hidden state, last
/// cell state, the largest magnitudes of cell states at any step, and those of what the candidate's function takes, each
/// `[batch, units]`. States start at zero where none are given.
/// A step for which the mask is false changes no state, and its result is that of the step computed before it, or zero where
/// there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent {
    /// What is computed at each step.
    pub cell: Cell,
    /// Function of the cell's candidate.
    pub activation: UnaryKind,
    /// Function of the gates.
    pub gate_activation: UnaryKind,
    /// Function of the LSTM's state at its output; without meaning for the others.
    pub output_activation: UnaryKind,
    /// Walks from the last step to the first; results keep the place of their step.
    pub reverse: bool,
    /// Bound of the magnitude of the LSTM's state; 0 for none.
    pub cell_clip: f32,
    /// Bound of the magnitude of what functions of gates and candidate take; 0 for none.
    pub sum_clip: f32,
    /// Input and sequence are `[steps, batch, ..]`.
    pub time_major: bool,
    /// Steps that the mask leaves out give zero, not the result before.
    pub zero_masked: bool,
    /// Numbers that a layer of integers has beyond those of its operands and results.
    pub integer: Option<IntegerCell>,
}

/// What a recurrent layer of integers has inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerCell {
    /// Two to this power is the scale of an int16 inside: of the LSTM's state, of the GRU's, of the plain layer's sum.
    pub exponent: i32,
    /// The same of an int16 that the candidate's function takes, where that function has no end: else it is -12.
    pub sums: i32,
    /// States are kept from one inference to the next, and begin at zero before the first one.
    pub keeps_states: bool,
}
