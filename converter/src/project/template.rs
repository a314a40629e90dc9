//! Texts with places for names and numbers.

use std::path::Path;

use ferrolite_runtime::Model;

use super::kits::Kit;
use super::runtime::Runtime;
use super::sample::Sample;
use crate::text;

/// What the texts of a project speak of.
pub(super) struct Context<'a> {
    pub(super) name: &'a str,
    pub(super) kit: &'static Kit,
    pub(super) model: &'a Model<'a>,
    /// The file that the user gave.
    pub(super) source: &'a Path,
    pub(super) sample: &'a Sample,
    pub(super) runtime: &'a Runtime,
}

impl Context<'_> {
    /// A template with `{{name}}` replaced by what `values` or the context says of it.
    pub(super) fn fill(&self, template: &str, values: &[(&str, &str)]) -> String {
        let (flash, ram) = (self.kit.map.flash, self.kit.map.ram);
        let source = self
            .source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace(['`', '{', '\n', '\r'], "_");
        let own = [
            ("name", self.name.to_string()),
            ("board", self.kit.name.to_string()),
            ("chip", self.kit.describe().to_string()),
            ("target", self.kit.rust_target().to_string()),
            ("core", self.kit.target().name().to_string()),
            ("source", source),
            ("flash_start", format!("{:#010X}", flash.0)),
            ("flash_bytes", flash.1.to_string()),
            ("flash_size", size(flash.1)),
            ("ram_size", size(ram.1)),
            ("ram_start", format!("{:#010X}", ram.0)),
            ("ram_bytes", ram.1.to_string()),
            ("model_bytes", bytes(self.model.bytes().len())),
            ("arena_bytes", bytes(self.model.arena_bytes())),
        ];
        let mut out = template.to_string();
        for (name, value) in values.iter().copied().chain(own.iter().map(|(name, value)| (*name, &value[..])))
        {
            out = out.replace(&format!("{{{{{name}}}}}"), value);
        }
        out
    }

    /// What the answer printed first stands for, where the sample is made up.
    pub(super) fn sample_words(&self) -> &'static str {
        match self.sample.real {
            true => "the first of the samples that it was calibrated with",
            false => "made-up numbers over the whole range of the inputs",
        }
    }
}

/// A size as the linker takes it, in K where it is a whole number of them.
fn size(bytes: u32) -> String {
    match bytes % 1024 {
        0 => format!("{}K", bytes / 1024),
        _ => bytes.to_string(),
    }
}

/// A number of bytes, for people.
fn bytes(count: usize) -> String {
    format!("{} bytes", text::count(count))
}
