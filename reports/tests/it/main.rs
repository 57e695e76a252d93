//! Views, audit queries and reports over one small site.

mod audit;
mod fixture;
mod site;
mod views;
