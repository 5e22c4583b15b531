//! Tables, `run.json`, pictures, the page and the terminal.

mod answers;
mod made_up;
mod page;
mod pictures;
mod tables;
mod terminal;
