//! `ferrolite boards`: where models can run, and what their time can be estimated on.

use serde::Serialize;

use super::Printed;
use super::args::BoardsArgs;
use crate::board::{self, HOST, PARTS, Part, Status, has_sources};
use crate::error::Result;
use crate::project::KITS;
use crate::text::{self, Column};

#[derive(Debug, Serialize)]
struct Facts {
    boards: Vec<Board>,
}

#[derive(Debug, Default, Serialize)]
struct Board {
    name: &'static str,
    core: &'static str,
    machine: Option<&'static str>,
    flash_bytes: Option<u32>,
    ram_bytes: Option<u32>,
    qemu_installed: Option<bool>,
    target: Option<&'static str>,
    target_installed: Option<bool>,
    /// Whether its runner can be built here, or is part of this program.
    has_runner: Option<bool>,
    /// What it can: `run` (`--on`), `time` (`bench --board`), `new` (`new --board`).
    can: Vec<&'static str>,
    /// The board that runs the programs of its core.
    emulated_by: Option<&'static str>,
    clock_hz: Option<f64>,
    picojoules_per_cycle: Option<f64>,
    /// How far off an estimate of its time may be.
    error: Option<&'static str>,
}

impl From<Status> for Board {
    fn from(status: Status) -> Board {
        let board = status.board;
        Board {
            name: board.name,
            core: board.core,
            machine: Some(board.machine),
            flash_bytes: Some(board.flash_bytes),
            ram_bytes: Some(board.ram_bytes),
            qemu_installed: Some(status.qemu_installed),
            target: Some(board.target),
            target_installed: Some(status.target_installed),
            has_runner: Some(status.has_runner),
            can: can("run", board.name),
            ..Board::default()
        }
    }
}

impl Board {
    /// A board that one can buy, on which whatever runs its programs decides.
    fn of_part(part: &Part, emulated: &[Board]) -> Board {
        let by = emulated.iter().find(|board| board.name == part.emulated);
        Board {
            name: part.name,
            core: part.chip,
            flash_bytes: Some(part.flash_bytes),
            ram_bytes: Some(part.ram_bytes),
            qemu_installed: by.and_then(|board| board.qemu_installed),
            target: by.and_then(|board| board.target),
            target_installed: by.and_then(|board| board.target_installed),
            has_runner: by.and_then(|board| board.has_runner),
            can: can("time", part.name),
            emulated_by: Some(part.emulated),
            clock_hz: Some(part.clock_hz),
            picojoules_per_cycle: part.picojoules,
            error: Some(part.evidence.error()),
            ..Board::default()
        }
    }
}

/// What a board can: what its list says, and projects where there is a kit.
fn can(first: &'static str, name: &str) -> Vec<&'static str> {
    let new = KITS.iter().any(|kit| kit.name == name).then_some("new");
    std::iter::once(first).chain(new).collect()
}

pub fn execute(args: &BoardsArgs) -> Result<Printed> {
    let host = Board { name: HOST, core: "this computer", can: vec!["run"], ..Board::default() };
    let emulated: Vec<Board> = board::list().into_iter().map(Board::from).collect();
    let parts: Vec<Board> = PARTS.iter().map(|part| Board::of_part(part, &emulated)).collect();
    let facts = Facts { boards: std::iter::once(host).chain(emulated).chain(parts).collect() };
    if args.json {
        return Printed::json(&facts);
    }
    let columns = [
        Column::Left("board"),
        Column::Left("core"),
        Column::Left("can"),
        Column::Left("QEMU machine"),
        Column::Right("MHz"),
        Column::Right("flash"),
        Column::Right("RAM"),
        Column::Left("ready"),
    ];
    let rows = facts.boards.iter().map(|board| {
        let size = |bytes: Option<u32>| bytes.map_or("-".into(), text::thousands);
        vec![
            board.name.to_string(),
            board.core.to_string(),
            board.can.join(", "),
            board.machine.or(board.emulated_by).unwrap_or("-").to_string(),
            board.clock_hz.map_or("-".into(), |hz| format!("{:.0}", hz / 1e6)),
            size(board.flash_bytes),
            size(board.ram_bytes),
            ready(board),
        ]
    });
    Ok(Printed::Text(text::table(&columns, rows)))
}

/// Whether a board can be used, or else what is missing.
fn ready(board: &Board) -> String {
    match (board.qemu_installed, board.target_installed) {
        (Some(false), _) => "no: QEMU is not installed".into(),
        _ if board.has_runner == Some(false) => "no: its runner is not in this program".into(),
        _ if !has_sources() => "yes".into(),
        (_, Some(false)) => format!("no: rustup target add {}", board.target.unwrap_or_default()),
        _ => "yes".into(),
    }
}
