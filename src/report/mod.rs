//! What users get: tables, the HTML page, pictures.

mod columnar;
mod delimited;
pub mod files;
pub mod run_json;
pub mod table;
