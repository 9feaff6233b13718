//! Tests of the whole against a machine that crashes, fills up and fails at will.

mod damage;
mod faults;
mod machine;
mod model;
