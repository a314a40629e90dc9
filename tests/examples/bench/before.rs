//! The earlier figures of models: `before.txt`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use ferrolite::bench::lock::Figure;

/// The earlier figures of one model on one board; `None` if a figure was not measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Instructions of one inference.
    pub instructions: Option<u64>,
    /// Modelled cycles of one inference.
    pub cycles: Option<u64>,
    /// Instructions of initialisation.
    pub init: Option<u64>,
    /// Bytes of arena.
    pub arena: Option<u64>,
    /// Bytes of stack.
    pub stack: Option<u64>,
    /// Bytes of runtime code.
    pub flash: Option<u64>,
    /// Bytes of the model file.
    pub file: Option<u64>,
}

impl Row {
    /// One of them.
    pub fn figure(&self, figure: Figure) -> Option<u64> {
        match figure {
            Figure::Cycles => self.cycles,
            Figure::Instructions => self.instructions,
            Figure::Init => self.init,
            Figure::Stack => self.stack,
            Figure::Arena => self.arena,
            Figure::Model => self.file,
            Figure::Flash => self.flash,
        }
    }
}

/// The lines of `before.txt`.
pub struct Before(HashMap<(String, String), Row>);

impl Before {
    /// Reads the file.
    pub fn read() -> Result<Before> {
        Before::parse(include_str!("before.txt"))
    }

    fn parse(text: &str) -> Result<Before> {
        let mut rows = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [board, model, figures @ ..] = words.as_slice() else { bail!("before.txt: {line}") };
            let figure = |word: &&str| match *word {
                "-" => Ok(None),
                word => word.parse().map(Some).with_context(|| format!("before.txt: {line}")),
            };
            let figures: Vec<Option<u64>> = figures.iter().map(figure).collect::<Result<_>>()?;
            let [instructions, cycles, init, arena, stack, flash, file] = figures[..] else {
                bail!("before.txt: {} figures: {line}", figures.len());
            };
            let row = Row { instructions, cycles, init, arena, stack, flash, file };
            if rows.insert((board.to_string(), model.to_string()), row).is_some() {
                bail!("before.txt has two lines of {model} on {board}");
            }
        }
        Ok(Before(rows))
    }

    /// The earlier figures of a model on a board.
    pub fn row(&self, board: &str, model: &str) -> Option<&Row> {
        self.0.get(&(board.to_string(), model.to_string()))
    }

    /// The models that were measured on a board, in the order of their names.
    pub fn models(&self, board: &str) -> Vec<&str> {
        let mut models: Vec<&str> =
            self.0.keys().filter(|(on, _)| on == board).map(|(_, model)| model.as_str()).collect();
        models.sort_unstable();
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::NAMED;

    #[test]
    fn every_board_has_figures_of_the_small_models() {
        let before = Before::read().unwrap();
        for board in ferrolite::board::BOARDS {
            let row = before.row(board.name, NAMED[0].0).unwrap();
            assert!(row.instructions.is_some() && row.init.is_some(), "{}", board.name);
            assert_eq!(row.cycles.is_some(), board.timing.is_some(), "{}", board.name);
            assert!(before.models(board.name).len() >= 3, "{}", board.name);
        }
    }

    #[test]
    fn a_line_that_is_not_whole_is_refused() {
        assert!(Before::parse("m4 kws 1 2 3 4 5 6").is_err());
        assert!(Before::parse("m4 kws 1 2 3 4 5 6 x").is_err());
        assert!(Before::parse("m4 kws 1 - 3 4 5 6 7\nm4 kws 1 - 3 4 5 6 7").is_err());
        assert!(Before::parse("m4 kws 1 - 3 4 5 6 7").is_ok());
    }
}
