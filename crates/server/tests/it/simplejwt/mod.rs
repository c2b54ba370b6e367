//! The SimpleJWT dialect. What holds for every endpoint stands in `dialect` and `fields`.

mod blacklist;
mod dialect;
mod fields;
mod obtain;
mod refresh;
mod verify;
