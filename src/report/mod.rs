//! What users get: tables, the HTML page, pictures, the ranking as text.

pub mod colour;
mod columnar;
mod delimited;
pub mod files;
pub mod page;
pub mod pair_text;
pub mod picture;
pub mod quantity;
pub mod run_json;
pub mod svg;
pub mod table;
pub mod table_writer;
pub mod terminal;
