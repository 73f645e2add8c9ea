//! What "equal" means: pure functions over values and the columns they come from.
//!
//! There is one definition of sameness, [`Form`](form::Form): decided once per pair of columns from both schemas,
//! it turns a value of either side into canonical bytes. Two values agree when those bytes do. Keys
//! ([`KeyForm`]) and compared columns ([`ColumnRule`]) use the same one, so a row that was found by its key is never
//! reported for it.
//!
//! NULL agrees with NULL only, and as a key with nothing. What a configuration lets pass beyond that is a
//! [`Lens`](lens::Lens) in front of a pair of columns; keys have none.

mod class;
mod compare;
mod digest;
mod form;
mod json;
mod key;
mod lens;
mod narrow;
mod spell;
mod tolerance;

pub use compare::{ColumnRule, compare, is_too_large};
pub use digest::digest;
pub use key::KeyForm;
pub use narrow::narrower;
