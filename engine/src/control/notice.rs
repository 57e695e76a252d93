//! Notices: stored, printed, and posted to the site's webhook.

use kernel::id::{AccountId, MeterId, SiteId};
use kernel::time::Moment;
use serde_json::json;

use super::output::{ControlWrite, NoticeKind, NoticeRow, OutboxRow};
use super::{Control, NextIds};

/// What a notice says.
pub(super) struct Notice {
    pub(super) site: SiteId,
    pub(super) account: Option<AccountId>,
    pub(super) meter: Option<MeterId>,
    pub(super) kind: NoticeKind,
    pub(super) level: u8,
    pub(super) text: String,
}

impl Control {
    /// Stores a notice and puts it into the outbox, once for each channel of the site.
    pub(super) fn notify(&mut self, notice: Notice, now: Moment) {
        let setup = std::sync::Arc::clone(&self.setup);
        let site = setup.sites.get(&notice.site);
        let account = notice.account.and_then(|id| setup.accounts.get(&id));
        let balance = notice.account.and_then(|id| Some(self.accounts.get(&id)?.balance?.amount));
        let id = NextIds::take(&mut self.next.notice);
        let body = json!({
            "notice": id,
            "kind": notice.kind.name(),
            "level": notice.level,
            "site": site.map(|site| &site.name),
            "account": account.map(|account| &account.name),
            "holder": account.map(|account| &account.holder),
            "meter": notice.meter.and_then(|meter| Some(&setup.meters.get(&meter)?.serial)),
            "balance": balance.map(|amount| amount.to_string()),
            "unit": account.and_then(|account| account.unit),
            "text": notice.text,
            "at": now.to_string(),
        });
        self.out.writes.push(ControlWrite::Notice(NoticeRow {
            id,
            account: notice.account,
            meter: notice.meter,
            kind: notice.kind,
            level: notice.level,
            text: notice.text,
            balance,
            at: now,
        }));
        let webhook = site.and_then(|site| site.webhook.as_ref());
        let channels = [Some(("console", None)), webhook.map(|url| ("webhook", Some(url)))];
        for (channel, url) in channels.into_iter().flatten() {
            let payload = json!({ "url": url, "body": body }).to_string();
            let row = NextIds::take(&mut self.next.outbox);
            self.out.writes.push(ControlWrite::Outbox(OutboxRow { id: row, channel, notice: id, payload, at: now }));
        }
    }

    /// An alarm about a meter.
    pub(super) fn alarm(&mut self, meter: MeterId, text: &str, now: Moment) {
        let Some(setup) = self.setup.meters.get(&meter) else { return };
        let Some(account) = setup.account.and_then(|id| self.setup.accounts.get(&id)) else { return };
        let text = format!("meter {}: {text}", setup.serial);
        let (site, account) = (account.site, Some(account.facts.account));
        self.notify(Notice { site, account, meter: Some(meter), kind: NoticeKind::Alarm, level: 0, text }, now);
    }
}
