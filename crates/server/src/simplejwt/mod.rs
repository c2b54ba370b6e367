//! The wire of djangorestframework-simplejwt 5.5, bit for bit where clients depend on it.

mod answer;
mod blacklist;
mod dialect;
mod error;
mod fields;
mod json;
mod obtain;
mod refresh;
mod text;
mod verify;

pub use blacklist::blacklist;
pub use dialect::route;
pub use obtain::obtain;
pub use refresh::refresh;
pub use verify::verify;
