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
    /// What nearly none has.
    pub rare: Option<Arc<Rare>>,
}

/// What nearly no service point has.
#[derive(Clone, Debug, Default)]
pub struct Rare {
    /// When its meters had no supply, by the beginning.
    pub outages: Vec<Outage>,
    /// The service points that it is rated together with, itself among them.
    pub pool: Option<Arc<Vec<ServicePointId>>>,
}

impl Setup {
    /// When its meters had no supply, by the beginning.
    #[must_use]
    pub fn outages(&self) -> &[Outage] {
        self.rare.as_ref().map_or(&[], |rare| &rare.outages)
    }

    /// The service points that it is rated together with, itself among them; none for nearly all.
    #[must_use]
    pub fn pool(&self) -> Option<&Arc<Vec<ServicePointId>>> {
        self.rare.as_ref()?.pool.as_ref()
    }
}
