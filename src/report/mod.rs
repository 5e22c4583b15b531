//! What users get: tables, the HTML page, pictures.

pub mod table;
