//! Rating over the lake: the kernel behind a DataFusion operator (design.md, "One rating function, three users").
//!
//! **Promises.** What the streaming writer charged for a set of readings is what comes out here, to the last digit:
//! readings are resolved and judged by the same code ([`crate::billing::rerate`]), from the same stored states, over one
//! snapshot of files and hot rows. Work is partitioned by service point and runs on as many threads as are asked for.
//!
//! **Memory.** Never all readings: a thread holds one UTC month of [`POINTS_AT_ONCE`] service points (64 x 2,976 readings
//! of 15 minutes x 48 bytes = 9 MB) and their lines (64 x 365 days x 8 lines x 56 bytes = 10 MB for each year and each of
//! the two sets of terms). A pool is never divided: a thread may hold one of up to 256 service points (37 MB, and 42 MB of lines)
//! instead. Beside them: an index of the hot rows that are wanted (24 bytes each), the footers of the files
//! (about 0.1 MB for a million readings), and the few results that nobody has taken yet.
//!
//! **Cancelled** by dropping the stream: a thread sees it at its next month.
//!
//! **Not promised.** Nothing is written. Whoever posts a difference does it through the writer, which prices what has
//! arrived meanwhile on top ([`crate::billing::late`]).
//!
//! How to use it: pair the terms that are to be compared ([`Pair`]), say which local days are wanted ([`Span`]), and take
//! what [`rate_span`] streams, one [`Rated`] for each service point; or put a [`RatingTable`] into a DataFusion session
//! and query the lines. [`Rated::difference`] is signed, new minus old, line by line; [`by_account`] adds lines up.
//!
//! Modules in reading order: [`work`] what is asked for, [`snapshot`] what it is rated from, [`files`] readings of some
//! meters month by month, [`run`] the rating itself, [`table`] the operator, [`compare`] what
//! was charged against what it gives, [`simulate`] what another tariff would have charged, and [`bills`] its charges beside energy.

pub mod bills;
pub mod compare;
pub mod files;
pub mod run;
pub mod simulate;
pub mod snapshot;
pub mod table;
#[cfg(test)]
mod tests;
pub mod work;

pub use run::{POINTS_AT_ONCE, Rated, Rating, by_account, rate_span};
pub use snapshot::{RatingError, Snapshot};
pub use table::RatingTable;
pub use work::{Pair, Rerated, Span, Work};
