//! Which names a project's files define for one another.

use std::collections::BTreeSet;

use super::conditions::Names;
use super::tokens::{Read, read};

/// What all sources of a project define and include.
#[derive(Debug, Default)]
pub(super) struct Headers {
    files: Vec<(String, Names, Vec<String>)>,
}

impl Headers {
    /// Reads one file.
    pub(super) fn add(&mut self, file: &str, text: &str) {
        let Read { names, includes, .. } = read(text, &|_| None, Names::default());
        self.files.push((file.to_string(), names, includes));
    }

    /// The names that are defined before a file begins: those of the files that it includes, and of those that they do.
    pub(super) fn before(&self, file: &str) -> Names {
        let mut all = Names::default();
        for (_, names, _) in &self.files {
            all.doubt(names);
        }
        let mut seen = BTreeSet::from([file]);
        let mut open: Vec<&str> = vec![file];
        while let Some(name) = open.pop() {
            let Some((_, names, includes)) = self.files.iter().find(|(other, ..)| other == name) else {
                continue;
            };
            if name != file {
                all.include(names);
            }
            for included in includes.iter().filter_map(|include| self.find(include)) {
                if seen.insert(included) {
                    open.push(included);
                }
            }
        }
        all
    }

    /// The file that an `#include` means, where there is one of this name only.
    fn find(&self, include: &str) -> Option<&str> {
        let tail = include.rsplit("../").next().unwrap_or(include).trim_start_matches("./");
        let mut found = self.files.iter().map(|(file, ..)| file.as_str());
        let fits = |file: &&str| {
            file.strip_suffix(tail).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        };
        let first = found.find(fits)?;
        found.find(fits).is_none().then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_files_that_are_included() {
        let mut headers = Headers::default();
        headers.add("main/main.cc", "#include \"../inc/a.h\"\n#include <two.h>\n");
        headers.add("inc/a.h", "#ifndef A_H\n#define A_H\n#include \"b.h\"\n#define A 1\n#endif\n");
        headers
            .add("inc/b.h", "#pragma once\n#define B 1\n#ifdef X\n#define C 1\n#endif\n#include \"a.h\"\n");
        headers.add("x/two.h", "#define TWO 1\n");
        headers.add("y/two.h", "#define TWO 1\n");
        headers.add("other.h", "#define OTHER 1\n#undef B\n");
        let names = headers.before("main/main.cc");
        assert_eq!(names.value("A"), Some(true));
        // Taken back by one file, under a condition, a guard, of two files of one name, not included.
        for name in ["B", "C", "A_H", "TWO", "OTHER"] {
            assert_eq!(names.value(&format!("defined({name})")), None, "{name}");
        }
    }
}
