//! Every check rejects what it should: takes a valid op of each operator and packing, changes one of its
//! numbers, and records what the check says. `checks/*.txt` hold the answers, one letter for each number that
//! is tried:
//!
//! ```text
//! .  accepted            o  operands      p  parameters   s  sizes    c  constants
//! v  by the verifier     m  scratch       k  packing      l  overlap      w  unwritten
//! b  branch
//! ```
//! After the letters come the leads of accepted numbers, if they differ from the op's own (`-` if output and
//! input must not overlap; `8*3` for three of 8), and after those of other operands, which ones are accepted.

#[path = "checks/cases.rs"]
mod cases;
#[path = "checks/file.rs"]
mod file;

use std::fmt::Write;

use ferrolite_runtime::kernels::{Armv6m, Armv7em, Armv7m, Mve, Policy, Portable, Rv32im};
use ferrolite_runtime::ops::{batch_matmul, conv_2d, depthwise_conv_2d, fully_connected, plain};
use ferrolite_runtime::packing::Packing;
use ferrolite_runtime::params::{BatchMatMulParams, Conv2dParams, DepthwiseConv2dParams, Window};
use ferrolite_runtime::{DType, Error, Fault, Model, Node, OpCode, OpSet, Operator, check, ops};
use file::{Case, Operand, aligned};

/// Values that a number is set to, in addition to values near its own.
const NUMBERS: [i64; 24] = [
    0,
    1,
    2,
    3,
    4,
    16,
    30,
    31,
    127,
    128,
    255,
    256,
    257,
    0xFFF,
    0x1000,
    0x1001,
    0xFFFF,
    0x1_0000,
    0x1_0001,
    0x7F80_0000,
    0x7FFF_FFFF,
    -0x8000_0000,
    -129,
    -1,
];

/// Ways to change a number.
const CHANGES: [fn(u32) -> u32; 8] = [
    |own| own.wrapping_sub(4),
    |own| own.wrapping_sub(1),
    |own| own.wrapping_add(1),
    |own| own.wrapping_add(4),
    |own| own.wrapping_mul(2),
    |own| own.wrapping_add(0x1000_0000),
    |own| own.wrapping_add(0x4000_0000),
    |own| own.wrapping_add(0x8000_0000),
];

/// The values that are tried for a number.
fn tried(own: u32) -> impl Iterator<Item = u32> {
    CHANGES.iter().map(move |change| change(own)).chain(NUMBERS.iter().map(|&number| number as u32))
}

/// Sets of operators. The kernels must not affect what is refused.
const SETS: [OpSet; 6] = [
    &ops::all::<Portable>(),
    &ops::all::<Armv7em>(),
    &ops::all::<Armv7m>(),
    &ops::all::<Armv6m>(),
    &ops::all::<Mve>(),
    &ops::all::<Rv32im>(),
];

/// Operators for one packing or two, each with these.
fn special() -> Vec<(Operator, Vec<Packing>)> {
    let (m4, m0) = (Policy::ARMV7EM, Policy::ARMV6M);
    let both = |packing: Packing| vec![packing, packing.general()];
    let one = [
        (plain::CONV_2D, Packing::PLAIN),
        (plain::DEPTHWISE_CONV_2D, Packing::PLAIN),
        (plain::FULLY_CONNECTED, Packing::PLAIN),
        (conv_2d::tuned_operator::<Armv7em>(), m4.conv),
        (depthwise_conv_2d::tuned_operator::<Armv7em>(), m4.depthwise),
        (fully_connected::tuned_operator::<Armv7em>(), m4.dense),
        (conv_2d::tuned_operator::<Armv6m>(), m0.conv),
    ];
    let two = [
        (conv_2d::general_operator::<Armv7em>(), both(m4.conv)),
        (fully_connected::general_operator::<Armv7em>(), both(m4.dense)),
        (conv_2d::general_operator::<Armv6m>(), both(m0.conv)),
    ];
    one.map(|(operator, packing)| (operator, vec![packing])).into_iter().chain(two).collect()
}

fn letter(answer: Result<(), Error>) -> char {
    match answer {
        Ok(()) => '.',
        Err(Error::Op { fault, .. }) => match fault {
            Fault::Operands => 'o',
            Fault::Parameters => 'p',
            Fault::Sizes => 's',
            Fault::Constants => 'c',
            Fault::Scratch => 'm',
            Fault::Packing => 'k',
            Fault::Overlap => 'l',
            Fault::Unwritten => 'w',
            Fault::Name => 'n',
            Fault::Branch => 'b',
            other => panic!("{other:?} has no letter yet"),
        },
        Err(_) => 'v',
    }
}

/// The letter and the lead of a case; all sets must agree.
fn judge(case: &Case, special: &[(Operator, Vec<Packing>)]) -> (char, String) {
    let file = aligned(case);
    let model = match Model::from_bytes(file.bytes()) {
        Ok(model) => model,
        Err(error) => return (letter(Err(error.into())), String::new()),
    };
    let answer = check(&model, ops::ALL);
    for set in SETS {
        assert_eq!(check(&model, set), answer, "{}: the sets differ", case.name);
    }
    for (operator, packings) in special.iter().filter(|(operator, _)| operator.code == case.code as u16) {
        let node = Node::new(&model, &model.ops()[0]);
        let tag = case.params.get(cases::packing_word(case.code));
        let own = tag.is_some_and(|&tag| packings.iter().any(|packing| packing.own(tag).is_some()));
        let found = ferrolite_runtime::check_op(&node, operator.check, operator.lead);
        match own {
            true => assert_eq!(found.map_err(|fault| Error::Op { op: 0, fault }), answer, "{}", case.name),
            false => assert!(found.is_err(), "{}: an operator for another packing takes it", case.name),
        }
    }
    let lead = match answer {
        Ok(()) => {
            let operator =
                ops::ALL.iter().find(|operator| operator.code == case.code as u16).expect("is there");
            let node = Node::new(&model, &model.ops()[0]);
            let counts = node.operands().map(|(inputs, outputs)| (inputs.len(), outputs.len()));
            assert_eq!(counts, Some((case.inputs, case.operands.len() - case.inputs)), "{}", case.name);
            let leads = (0..node.inputs()).map(|input| match (operator.lead)(&node, input) {
                Some(lead) => lead.to_string(),
                None => "-".into(),
            });
            leads.collect::<Vec<_>>().join("/")
        }
        Err(_) => String::new(),
    };
    (letter(answer), lead)
}

/// Sets a field.
type Change = Box<dyn Fn(&mut Case, u32)>;

/// The name of a field of a case, its own number, and how to set it.
type Field = (String, u32, Change);

fn fields(case: &Case) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, &own) in case.params.iter().enumerate() {
        let name = cases::word_name(case.code, index);
        fields.push((name, own, Box::new(move |case, value| case.params[index] = value)));
    }
    for (index, operand) in case.operands.iter().enumerate() {
        let set: Change = Box::new(move |case, value| case.operands[index].bytes = value);
        fields.push((format!("bytes of operand {index}"), operand.bytes, set));
    }
    fields.push(("scratch".into(), case.scratch, Box::new(|case, value| case.scratch = value)));
    fields.push((
        "constants".into(),
        case.constants.len() as u32,
        Box::new(|case, value| {
            case.constants.resize((value as usize).min(1 << 17), 0);
        }),
    ));
    if case.code == OpCode::ResizeNearest {
        // The check includes the table.
        for at in (2..case.constants.len()).step_by(2) {
            let own = u16::from_le_bytes([case.constants[at], case.constants[at + 1]]);
            let set: Change = Box::new(move |case, value| {
                case.constants[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
            });
            fields.push((format!("table at {at}"), own.into(), set));
        }
    }
    fields
}

/// The cases with other operands: their number, place and type, one changed at a time.
fn other_operands(case: &Case) -> Vec<(String, Case)> {
    let mut others = Vec::new();
    let mut add = |name: String, change: &dyn Fn(&mut Case)| {
        let mut other = case.clone();
        change(&mut other);
        others.push((name, other));
    };
    for index in 0..case.operands.len() {
        for dtype in DType::ALL {
            add(format!("operand {index} of {dtype:?}"), &|case| case.operands[index].dtype = dtype);
            // The number of elements stays the same.
            add(format!("operand {index} as {dtype:?}"), &|case| {
                let operand = &mut case.operands[index];
                operand.bytes = operand.bytes / operand.dtype.size() as u32 * dtype.size() as u32;
                operand.dtype = dtype;
            });
        }
        add(format!("operand {index} elsewhere"), &|case| {
            let operand = &mut case.operands[index];
            operand.constant = if operand.constant.is_some() { None } else { Some(0) };
            let len = case.constants.len().max(operand.bytes as usize);
            case.constants.resize(len, 0);
        });
        add(format!("operand {index} kept"), &|case| {
            let operand = &mut case.operands[index];
            (operand.state, operand.constant) = (!operand.state, None);
        });
    }
    add("in place".into(), &|case| case.in_place = true);
    let int8 = Operand::int8(4);
    add("one more input".into(), &|case| {
        case.inputs += 1;
        case.operands.insert(0, int8);
    });
    add("one more output".into(), &|case| case.operands.push(int8));
    add("one input less".into(), &|case| {
        case.inputs -= 1;
        case.operands.remove(0);
    });
    add("one word less".into(), &|case| {
        case.params.pop();
    });
    add("one word more".into(), &|case| case.params.push(0));
    others
}

fn describe(case: &Case, special: &[(Operator, Vec<Packing>)]) -> String {
    let (answer, own_lead) = judge(case, special);
    assert_eq!(answer, '.', "{} is sound before it is changed", case.name);
    let mut text = format!("{}, lead {own_lead}, scratch {}\n", case.name, case.scratch);
    for (name, own, set) in fields(case) {
        let (mut letters, mut leads) = (String::new(), Vec::new());
        for value in tried(own) {
            let mut other = case.clone();
            set(&mut other, value);
            let (answer, lead) = judge(&other, special);
            letters.push(answer);
            if answer == '.' && lead != own_lead {
                leads.push(lead);
            }
        }
        let mut told = String::new();
        for same in leads.chunk_by(|a, b| a == b) {
            let _ = write!(told, " {}", same[0]);
            if same.len() > 1 {
                let _ = write!(told, "*{}", same.len());
            }
        }
        let _ = writeln!(text, "  {name:24} {letters}{told}");
    }
    let (mut operands, mut accepted) = (String::new(), String::new());
    for (name, other) in other_operands(case) {
        let (answer, lead) = judge(&other, special);
        operands.push(answer);
        if answer == '.' {
            let lead = if lead == own_lead { String::new() } else { format!(" ({lead})") };
            let _ = write!(accepted, " {name}{lead},");
        }
    }
    let _ = writeln!(text, "  {:24} {operands}{}", "operands", accepted.trim_end_matches(','));
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Compares the answers of a family of cases with the file that holds them.
fn compare(family: &str, cases: &[Case]) {
    let special = special();
    let golden = format!("{}/tests/checks/{family}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("FERROLITE_UPDATE_GOLDEN").is_some() {
        let found: String = cases.iter().map(|case| describe(case, &special)).collect();
        std::fs::write(&golden, found).expect("can be written");
    }
    let wanted = std::fs::read_to_string(golden).expect("can be read");
    let mut rest = wanted.as_str();
    for case in cases {
        let found = describe(case, &special);
        match rest.strip_prefix(&found) {
            Some(behind) => rest = behind,
            None => {
                let differs = found.lines().zip(rest.lines()).find(|(found, wanted)| found != wanted);
                panic!("{}: {differs:?}; FERROLITE_UPDATE_GOLDEN=1 writes the answers anew", case.name);
            }
        }
    }
    assert_eq!(rest, "", "cases that are not there any more");
}

#[test]
fn ops_that_are_not_sound_are_refused() {
    let special = special();
    for (case, fault) in cases::unsound() {
        assert_eq!(judge(&case, &special).0, fault, "{}", case.name);
    }
}

/// Constants are accepted up to their end exactly, even if they have a length of zero there.
#[test]
fn constants_are_expected_where_they_are() {
    let mut case = cases::dense_layers().remove(0);
    case.constants = vec![0; 24];
    let file = aligned(&case);
    let model = Model::from_bytes(file.bytes()).expect("is sound for the verifier");
    let node = Node::new(&model, &model.ops()[0]);
    assert_eq!(model.constants().len(), 24);
    for offset in (0..40).chain([u32::MAX - 3, u32::MAX]) {
        for count in (0..40).chain([1 << 30, 1 << 31, u32::MAX]) {
            let expected = [
                node.expect_constants::<u8>(offset, count).is_ok(),
                node.expect_constants::<u16>(offset, count).is_ok(),
                node.expect_constants::<i32>(offset, count).is_ok(),
                node.expect_constants::<[u32; 2]>(offset, count).is_ok(),
            ];
            let there = [
                node.constants::<u8>(offset, count).is_ok(),
                node.constants::<u16>(offset, count).is_ok(),
                node.constants::<i32>(offset, count).is_ok(),
                node.constants::<[u32; 2]>(offset, count).is_ok(),
            ];
            assert_eq!(expected, there, "{count} at {offset}");
        }
    }
}

/// Sizes of scratch memory that overflow 32 bits to a small number.
#[test]
fn scratch_memory_that_overflows_is_none() {
    let window = |kernel_h, kernel_w, out_w| Window {
        kernel_h,
        kernel_w,
        out_w,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        ..Window::default()
    };
    let conv = |packing: Packing, window, in_channels| {
        let packing = packing.tag();
        let p =
            Conv2dParams { window, in_channels, out_channels: 1, groups: 1, packing, ..Default::default() };
        conv_2d::scratch_bytes(&p)
    };
    let (blocks, pairs) = (Packing::blocks(4, 1, 1), Packing::pairs(2, 2));
    // The tile: four patches.
    assert_eq!(conv(Packing::PLAIN, window(1 << 15, 1 << 14, 1), 1), Some(1 << 31));
    assert_eq!(conv(Packing::PLAIN, window(1 << 15, 1 << 15, 1), 1), None);
    assert_eq!(conv(pairs, window(1 << 12, 1 << 16, 1), 1), Some((1 << 31) + (1 << 28) + 4));
    assert_eq!(conv(pairs, window(1 << 13, 1 << 16, 1), 1), None);
    // The ring, alone and with the tile.
    assert_eq!(conv(blocks, window(1, 2, 1 << 16), 1 << 16), None);
    assert_eq!(conv(blocks, window(1 << 16, 1, 1 << 16), 1), None);
    assert_eq!(conv(blocks, window(1 << 13, 1, 3), 1 << 16), Some(7 * (1 << 29) + 4));
    assert_eq!(conv(blocks, window(1 << 13, 1, 4), 1 << 16), None);
    // 2^32 - 1, without the bytes that are read after the ring.
    assert_eq!(conv(blocks, window(13_107, 1, 1), 65_537), None);

    let depthwise = |window, in_channels| {
        let packing = Packing::blocks(1, 1, 1).tag();
        let p = DepthwiseConv2dParams { window, in_channels, multiplier: 1, packing, ..Default::default() };
        depthwise_conv_2d::scratch_bytes(&p)
    };
    assert!(depthwise(window(1 << 15, 1 << 16, 1), 1).is_some_and(|bytes| bytes > 1 << 31));
    assert_eq!(depthwise(window(1 << 16, 1 << 16, 1), 1), None);
    // 2^32 - 4, without the bytes that are read after the ring.
    assert_eq!(depthwise(window(49_981, 42_966, 1), 2), None);

    let product = |depth| batch_matmul::scratch_bytes(&BatchMatMulParams { depth, ..Default::default() });
    assert_eq!(product(5), Some(10));
    assert_eq!(product(0x7FFF_FFFF), Some(0xFFFF_FFFE));
    assert_eq!(product(0x8000_0000), None);
}

/// Makes a test for each family of cases.
macro_rules! families {
    ($($family:ident),*) => {
        $(
            #[test]
            fn $family() {
                compare(stringify!($family), &cases::$family());
            }
        )*

        /// Operators without a family of their own need no line here.
        #[test]
        fn others() {
            let listed: Vec<Case> = [$(cases::$family()),*].concat();
            compare("others", &cases::others(&listed));
        }
    };
}

families!(
    plain_convolutions,
    packed_convolutions,
    depthwise_convolutions,
    dense_layers,
    convolutions_by_tiles,
    depthwise_by_strips,
    transposed_convolutions,
    pools,
    elementwise,
    functions,
    conversions,
    movement
);
