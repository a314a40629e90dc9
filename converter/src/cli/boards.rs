//! `ferrolite boards`: where models can run.

use serde::Serialize;

use super::Answer;
use super::args::{BOARDS, BoardsArgs};
use crate::error::Result;
use crate::report::text::{self, Column};

#[derive(Debug, Serialize)]
struct Facts {
    boards: Vec<Board>,
}

#[derive(Debug, Serialize)]
struct Board {
    name: &'static str,
    description: &'static str,
}

pub fn execute(args: &BoardsArgs) -> Result<Answer> {
    let boards = BOARDS.map(|name| Board { name, description: describe(name) });
    let facts = Facts { boards: boards.into() };
    if args.json {
        return Answer::json(&facts);
    }
    let rows = facts.boards.iter().map(|board| vec![board.name.to_string(), board.description.to_string()]);
    Ok(Answer::Text(text::table(&[Column::Left("board"), Column::Left("what it is")], rows)))
}

fn describe(name: &str) -> &'static str {
    match name {
        "host" => "this computer",
        _ => "a microcontroller in QEMU",
    }
}
