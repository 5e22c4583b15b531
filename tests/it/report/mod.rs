//! Tables, `run.json`, pictures, the page and the terminal.

mod tables;
