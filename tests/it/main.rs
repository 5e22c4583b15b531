mod inference;
mod rank;
