//! What a service point is rated by: made once for each registry, and shared by everyone who rates.

use std::sync::Arc;

use kernel::epoch::Epoch;
use kernel::few::Few;
use kernel::gap::Outage;
use kernel::id::{ServicePointId, SiteId};
use kernel::rate::Terms;
use kernel::time::LocalMonth;

/// What a service point is rated by; replaced as a whole when the registry changes.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which.
    pub id: ServicePointId,
    /// Its installations, by `valid_from`, without overlaps.
    pub epochs: Few<Epoch>,
    /// Contracts, tariffs, local days, day types.
    pub terms: Terms,
    /// Its site.
    pub site: SiteId,
    /// The site's last closed month.
    pub closed_through: Option<LocalMonth>,
    /// When its meters had no supply, by the beginning; none for nearly all.
    pub outages: Option<Arc<Vec<Outage>>>,
    /// The service points that it is rated together with, itself among them; none for nearly all.
    pub pool: Option<Arc<Vec<ServicePointId>>>,
}
