//! `ferrolite boards`: where models can run.

use serde::Serialize;

use super::Printed;
use super::args::BoardsArgs;
use crate::board::{self, HOST, Status};
use crate::error::Result;
use crate::text::{self, Column};

#[derive(Debug, Serialize)]
struct Facts {
    boards: Vec<Board>,
}

#[derive(Debug, Serialize)]
struct Board {
    name: &'static str,
    core: &'static str,
    machine: Option<&'static str>,
    flash_bytes: Option<u32>,
    ram_bytes: Option<u32>,
    qemu_installed: Option<bool>,
    target: Option<&'static str>,
    target_installed: Option<bool>,
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
        }
    }
}

pub fn execute(args: &BoardsArgs) -> Result<Printed> {
    let host = Board {
        name: HOST,
        core: "this computer",
        machine: None,
        flash_bytes: None,
        ram_bytes: None,
        qemu_installed: None,
        target: None,
        target_installed: None,
    };
    let boards = board::list().into_iter().map(Board::from);
    let facts = Facts { boards: std::iter::once(host).chain(boards).collect() };
    if args.json {
        return Printed::json(&facts);
    }
    let columns = [
        Column::Left("board"),
        Column::Left("core"),
        Column::Left("QEMU machine"),
        Column::Right("flash"),
        Column::Right("RAM"),
        Column::Left("ready"),
    ];
    let rows = facts.boards.iter().map(|board| {
        let size = |bytes: Option<u32>| bytes.map_or("-".into(), text::thousands);
        vec![
            board.name.to_string(),
            board.core.to_string(),
            board.machine.unwrap_or("-").to_string(),
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
        (_, Some(false)) => format!("no: rustup target add {}", board.target.unwrap_or_default()),
        _ => "yes".into(),
    }
}
