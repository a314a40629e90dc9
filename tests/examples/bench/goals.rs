//! The goals for the figures: `goals.txt`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

/// The lines of `goals.txt`.
pub struct Goals {
    models: Vec<String>,
    rows: HashMap<(String, String), Vec<String>>,
}

impl Goals {
    /// Reads the file.
    pub fn read() -> Result<Goals> {
        Goals::parse(include_str!("goals.txt"))
    }

    fn parse(text: &str) -> Result<Goals> {
        let heading = text.lines().rev().find_map(|line| line.strip_prefix('#'));
        let heading = heading.context("goals.txt has no heading")?;
        let models: Vec<String> = heading.split_whitespace().skip(2).map(String::from).collect();
        let mut rows = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace().map(String::from);
            let (Some(board), Some(what)) = (words.next(), words.next()) else { continue };
            let figures: Vec<String> = words.collect();
            if figures.len() != models.len() {
                bail!("goals.txt: {} figures for {} models: {line}", figures.len(), models.len());
            }
            rows.insert((board, what), figures);
        }
        Ok(Goals { models, rows })
    }

    /// The word of a board's line for a model.
    pub fn word(&self, board: &str, what: &str, model: &str) -> Option<&str> {
        let column = self.models.iter().position(|name| name == model)?;
        let row = self.rows.get(&(board.to_string(), what.to_string()))?;
        row.get(column).map(String::as_str).filter(|word| *word != "-")
    }

    /// The figure of a board's line for a model.
    pub fn figure(&self, board: &str, what: &str, model: &str) -> Option<f64> {
        self.word(board, what, model)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::NAMED;

    #[test]
    fn boards_and_models_are_those_that_are_measured() {
        let goals = Goals::read().unwrap();
        assert_eq!(goals.models, NAMED.map(|(name, _)| name));
        for (board, what) in goals.rows.keys() {
            ferrolite::board::find(board).unwrap();
            let figures = goals.models.iter().filter_map(|model| goals.word(board, what, model));
            assert!(figures.clone().count() > 0, "{board} {what}");
            if what != "build" {
                let wrong: Vec<&str> = figures.filter(|word| word.parse::<f64>().is_err()).collect();
                assert!(wrong.is_empty(), "{board} {what}: {wrong:?}");
            }
        }
        assert_eq!(goals.figure("qemu-cortex-m4", "asked", "kws"), Some(0.56));
        assert_eq!(goals.figure("qemu-cortex-m4", "aim", "hello_world"), None);
    }

    #[test]
    fn a_line_with_a_figure_too_few_is_refused() {
        assert!(Goals::parse("# board what a b\nm4 peer 1\n").is_err());
    }
}
