//! Billing: the one writer. Frames of the log in, settled transactions of the book and files of the lake out.
//!
//! **Promises.** A frame is priced in memory as it comes; a settlement writes everything that this changed in one
//! transaction, with the number of the last frame that it includes, so that a replay prices what came after it and nothing
//! twice. Registry and payments change only here. Any order, repetition or delay of the same readings gives the same lines:
//! what is not later than all before it is resolved against the stored readings and rated anew from a checkpoint.
//!
//! **Not promised.** Balances in memory run ahead of the book by at most one settlement; the log holds what they rest on.
//! The number of transfers for a day depends on when its readings came; their sum does not.
//!
//! **Survives a crash:** what was settled, and every frame of the log. Files that no settlement listed are swept.
//!
//! Modules in reading order: [`hot`] the frames above the lake, [`point`] one service point in memory, [`points`] all of
//! them, [`lines`] what they add up, [`pricing`] frames to lines ([`calm`] those of pools out of turn), [`rerate`] and [`late`] what comes out of order (`anew` who
//! comes along), [`corrections`] and [`correct`] what
//! people say instead, [`outages`] when they say that nothing flowed, [`reprice`] what a re-rate finds and posts (and `recharge`, beside energy, by its `ground`), [`posting`]
//! lines to transfers, [`adjustments`], [`approval`], [`periods`] and [`statements`] what is closed, [`accrual`],
//! [`components`], [`charging`], [`component_facts`] and [`maxima`] charges beside energy, [`charged`] what the book and the lake say was charged,
//! [`settlement`] and [`packed`] what is written,
//! [`writer`] the whole, [`money`] orders that move money, [`apply`] changes of the registry (and `contradiction`, what
//! readings say against stated counts), [`closing`] those that end an account or hand a service point over,
//! [`acknowledge`] findings looked at, [`filing`] the lake, [`supply`] control at its side, [`hands`] what people order of it, [`keep`] whose power stays on, [`recovery`] the start,
//! [`service`] the running task, [`balances`] its first answer, [`explain`] the way back.

pub mod accrual;
pub mod acknowledge;
pub mod adjustments;
mod anew;
pub mod apply;
pub mod approval;
pub mod balances;
pub mod calm;
pub mod charged;
pub mod charging;
pub mod closing;
pub mod component_facts;
pub mod components;
mod contradiction;
pub mod correct;
pub mod corrections;
pub mod error;
pub mod explain;
pub mod filing;
mod ground;
pub mod hands;
pub mod hot;
pub mod keep;
pub mod late;
pub mod lines;
pub mod maxima;
pub(crate) mod money;
pub mod names;
pub mod outages;
pub(crate) mod packed;
pub mod periods;
pub mod point;
pub mod points;
pub mod posting;
pub mod pricing;
mod recharge;
pub mod recovery;
pub mod reprice;
pub mod rerate;
pub mod service;
pub mod settlement;
pub mod statements;
pub mod supply;
#[cfg(test)]
mod tests;
pub mod writer;
