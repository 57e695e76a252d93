//! The log from outside: what its callers rely on.

mod damage;
mod faults;
mod fixture;
mod making;
mod many;
mod payloads;
mod retention;
