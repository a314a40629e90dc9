//! What a person is shown about a model: numbers, tables, the memory map, a page.

pub mod html;
pub mod memory_map;
pub mod text;
