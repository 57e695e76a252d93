//! Statements: each line of an account's month rounded once, what it loses carried to the next statement of the same line
//! (domain.md, 4).
//!
//! So a statement's balance is exact in the currency's digits: what was paid in, minus the rounded lines of all statements
//! up to this one. [`Statement`] is the data; how it looks is for those who print it.

use std::collections::{BTreeMap, BTreeSet};

use kernel::component::line::{Effect, Standing};
use kernel::id::{AccountId, ServicePointId, SiteId, TariffVersionId};
use kernel::money::{Amount, Quantity};
use kernel::statement::Minor;
use kernel::time::{LocalDate, LocalMonth, Moment};
use sqlx::Row as _;

use super::charged::for_each_line;
use super::components::ComponentLine;
use super::error::BillingError;
use super::lines::Sum;
use super::periods::Refused;
use super::writer::Writer;
use crate::book::bulk::{self, Cell};
use crate::book::{BookError, Tx, ledger};
use crate::engine::{Handle, Stopped};
use crate::registry::{Account, DEFAULT_MINOR, Site};

/// What a remainder is carried along with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CarryKey {
    /// Where it was used.
    pub point: ServicePointId,
    /// What is charged.
    pub component: String,
    /// Band code.
    pub band: u8,
    /// Tier from 1.
    pub tier: u16,
    /// Tariff version.
    pub version: TariffVersionId,
}

/// A line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// Which.
    pub key: CarryKey,
    /// The month of use: another one than the statement's where a posted adjustment corrects it.
    pub usage_month: LocalMonth,
    /// The first local day of use among it, to begin explaining with.
    pub first_day: LocalDate,
    /// How much was used.
    pub quantity: Quantity,
    /// Exactly what it costs.
    pub amount: Amount,
    /// What earlier statements of the line lost by rounding.
    pub carried_in: Amount,
    /// What the statement asks for: amount and `carried_in`, rounded by the site's rule to its currency's digits.
    pub rounded: Amount,
    /// What the next statement of the line carries in.
    pub carried_out: Amount,
}

/// Money that moved on an account, other than charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// When it was booked.
    pub at: Moment,
    /// Such as `topup`.
    pub kind: String,
    /// For people.
    pub memo: String,
    /// Above zero in the account's favour.
    pub amount: Amount,
}

/// An account's month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whose.
    pub account: AccountId,
    /// Which month.
    pub month: LocalMonth,
    /// Its number, counted by account, and when its period was closed; none while the month is not closed.
    pub closed: Option<(i64, Moment)>,
    /// The balance with which the month began.
    pub opening: Amount,
    /// Payments and the like.
    pub movements: Vec<Movement>,
    /// Charges.
    pub lines: Vec<StatementLine>,
    /// What is shown and not added: components that are not charged before the month is closed, as a forecast, and taxes that
    /// prices hold already.
    pub shown: Vec<ComponentLine>,
}

impl Statement {
    /// The sum of the rounded lines.
    #[must_use]
    pub fn charges(&self) -> Amount {
        self.lines.iter().map(|line| line.rounded).sum()
    }

    /// Whether nothing is on it: no money before, none moved, none charged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opening == Amount::ZERO && self.movements.is_empty() && self.lines.is_empty()
    }

    /// The balance with which the month ends.
    #[must_use]
    pub fn closing(&self) -> Amount {
        self.opening + self.movements.iter().map(|movement| movement.amount).sum::<Amount>() - self.charges()
    }
}

/// What a month's lines add up to before they are rounded, in the order in which a statement shows them: what was used in
/// the month itself last, after what adjusts earlier ones.
type Totals = BTreeMap<AccountId, BTreeMap<(CarryKey, LocalMonth), (Sum, LocalDate)>>;
/// What was rounded away, by account and line.
type Carries = BTreeMap<(AccountId, CarryKey), Amount>;

/// Rounds each line once.
fn lines(
    totals: BTreeMap<(CarryKey, LocalMonth), (Sum, LocalDate)>,
    account: AccountId,
    minor: Minor,
    carries: &mut Carries,
) -> Vec<StatementLine> {
    let rounded =
        totals.into_iter().filter(|(_, (sum, _))| !sum.is_zero()).map(|((key, usage_month), (sum, first))| {
            let carry = carries.entry((account, key.clone())).or_default();
            let carried_in = *carry;
            let rounded = (sum.amount + carried_in).round(minor.digits, minor.rounding);
            *carry = sum.amount + carried_in - rounded;
            StatementLine {
                key,
                usage_month,
                first_day: first,
                quantity: sum.quantity,
                amount: sum.amount,
                carried_in,
                rounded,
                carried_out: *carry,
            }
        });
    rounded.collect()
}

impl Writer {
    /// Freezes the statements of a month that is being closed, in the transaction that closes it.
    pub(super) async fn freeze(
        &self,
        tx: &mut Tx,
        site: SiteId,
        month: LocalMonth,
        at: Moment,
    ) -> Result<(), BillingError> {
        let points: BTreeSet<ServicePointId> =
            self.registry.service_points().filter(|point| point.site == site).map(|point| point.id).collect();
        let minor = self.registry.site(site).map_or(DEFAULT_MINOR, |site| site.minor);
        let totals = self.totals(tx.conn(), &points, month).await?;
        let mut carries = carries(tx.conn(), None).await?;
        let numbers = numbers(tx.conn()).await?;
        let mut rows: Vec<[Cell<'static>; 17]> = Vec::new();
        for (account, totals) in totals {
            let statement = numbers.get(&account).copied().unwrap_or(0) + 1;
            for (place, line) in (1_i64..).zip(lines(totals, account, minor, &mut carries)) {
                rows.push([
                    account.0.into(),
                    i64::from(month.0).into(),
                    statement.into(),
                    place.into(),
                    line.key.point.0.into(),
                    i64::from(line.usage_month.0).into(),
                    i64::from(line.first_day.0).into(),
                    line.key.component.into(),
                    i64::from(line.key.band).into(),
                    i64::from(line.key.tier).into(),
                    line.key.version.0.into(),
                    line.quantity.0.into(),
                    line.amount.to_string().into(),
                    line.carried_in.to_string().into(),
                    line.rounded.to_string().into(),
                    line.carried_out.to_string().into(),
                    at.0.into(),
                ]);
            }
        }
        let head = "INSERT INTO statement_lines (account_id, local_month, statement, line, service_point_id, usage_month, \
                    first_date, component, band, tier, tariff_version_id, quantity, amount, carried_in, rounded, carried_out, \
                    closed_at) VALUES";
        bulk::insert(tx, head, "", rows).await?;
        Ok(write_carries(tx, &carries).await?)
    }

    /// What was charged in a month: used in it, or posted in it for an earlier one.
    async fn totals(
        &self,
        connection: &mut sqlx::AnyConnection,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
    ) -> Result<Totals, BillingError> {
        let mut totals = Totals::new();
        let mut add = |account: AccountId, key: CarryKey, used: LocalDate, sum: Sum| {
            let lines = totals.entry(account).or_default();
            let (total, first) = lines.entry((key, used.month())).or_insert((Sum::default(), used));
            total.add(sum);
            *first = used.min(*first);
        };
        let mut adjusting = BTreeSet::new();
        let (first, next) = (month.first_day(), LocalMonth(month.0 + 1).first_day());
        let sql = "SELECT l.transfer_id, a.account_id, l.service_point_id, l.local_date, l.component, l.band, l.tier, \
                   l.tariff_version_id, l.quantity, l.amount, a.posted_date FROM adjustment_lines l \
                   JOIN adjustments a ON a.id = l.adjustment_id \
                   WHERE a.state = 'approved' AND ((a.posted_date >= $1 AND a.posted_date < $2) OR a.local_month = $3)";
        let query = sqlx::query(sql).bind(i64::from(first.0)).bind(i64::from(next.0)).bind(i64::from(month.0));
        for row in query.fetch_all(&mut *connection).await.map_err(BookError::from)? {
            let int = |column: usize| row.try_get::<i64, _>(column).map_err(BookError::from);
            let text = |column: usize| row.try_get::<String, _>(column).map_err(BookError::from);
            adjusting.insert(int(0)?);
            let key = carry_key(int(2)?, text(4)?, int(5)?, int(6)?, int(7)?);
            let posted = int(10)?;
            if posted >= i64::from(first.0) && posted < i64::from(next.0) && points.contains(&key.point) {
                let amount = ledger::amount(&text(9)?, "adjustment_lines.amount")?;
                add(account_id(int(1)?), key, date(int(3)?), Sum { quantity: Quantity(int(8)?), amount });
            }
        }
        for_each_line(connection, &self.lake, &self.files, points, month..=month, |line| {
            if line.key.account != AccountId(0) && !adjusting.contains(&line.transfer) {
                let key = CarryKey {
                    point: line.point,
                    component: line.key.component.as_str().to_owned(),
                    band: line.key.band,
                    tier: line.key.tier,
                    version: line.key.version,
                };
                add(line.key.account, key, line.key.date, line.sum);
            }
        })
        .await?;
        Ok(totals)
    }

    /// Statements of a month, in the order of accounts: as they were frozen, or as they would be if the month were closed
    /// now. Accounts whose site has no such month are left out.
    ///
    /// # Errors
    /// [`BillingError`] where book or lake cannot be read.
    pub(crate) async fn statements(
        &self,
        accounts: &[AccountId],
        month: LocalMonth,
    ) -> Result<Vec<Statement>, BillingError> {
        let mut by_site: BTreeMap<SiteId, Vec<&Account>> = BTreeMap::new();
        for account in accounts.iter().filter_map(|id| self.registry.account(*id)) {
            by_site.entry(account.site).or_default().push(account);
        }
        let mut all = Vec::new();
        for (id, accounts) in by_site {
            if let Some(site) = self.registry.site(id) {
                all.extend(self.statements_of(site, &accounts, month).await?);
            }
        }
        for statement in &mut all {
            let components = self.components(statement.account, month).await?.into_iter();
            let beside =
                |line: &ComponentLine| line.line.effect == Effect::Shown || line.line.standing == Standing::Forecast;
            statement.shown = components.filter(beside).collect();
        }
        all.sort_by_key(|statement| statement.account);
        Ok(all)
    }

    async fn statements_of(
        &self,
        site: &Site,
        accounts: &[&Account],
        month: LocalMonth,
    ) -> Result<Vec<Statement>, BillingError> {
        let Some((start, end)) = site.span(month) else { return Ok(Vec::new()) };
        let mut snapshot = self.book.snapshot().await?;
        let (mut all, mut open) = (Vec::new(), BTreeMap::new());
        for owner in accounts {
            let account = owner.id;
            let frozen = frozen(&mut snapshot, account, month).await?;
            let before = movements(&mut snapshot, account, Moment(i64::MIN), start).await?;
            let mut opening: Amount = before.iter().map(|movement| movement.amount).sum();
            let sql = "SELECT rounded FROM statement_lines WHERE account_id = $1 AND local_month < $2 AND withdrawn_at IS NULL";
            let query = sqlx::query(sql).bind(i64::from(account.0)).bind(i64::from(month.0));
            for row in query.fetch_all(&mut *snapshot).await.map_err(BookError::from)? {
                let text: String = row.try_get(0).map_err(BookError::from)?;
                opening -= ledger::amount(&text, "statement_lines.rounded")?;
            }
            let movements = movements(&mut snapshot, account, start, end).await?;
            let (closed, lines) = match frozen {
                Some((closed, lines)) => (Some(closed), lines),
                None => {
                    open.insert(account, all.len());
                    (None, Vec::new())
                }
            };
            all.push(Statement { account, month, closed, opening, movements, lines, shown: Vec::new() });
        }
        if open.is_empty() {
            return Ok(all);
        }
        // Months that are still open before it are rounded as they would be.
        let points: BTreeSet<ServicePointId> =
            open.keys().flat_map(|account| self.registry.paid_by(*account)).collect();
        let only = if open.len() == 1 { open.keys().next().copied() } else { None };
        let mut carries = carries(&mut snapshot, only).await?;
        let charged = self.files.iter().filter(|file| file.table == "charges").map(|file| file.month).min();
        let opened = accounts.iter().map(|owner| owner.opened_at).min();
        let begun = opened.and_then(|opened| site.days.at(opened)).map(|day| day.date.month());
        let first = match site.closed_through {
            Some(closed) => LocalMonth(closed.0 + 1),
            None => charged.into_iter().chain(begun).min().unwrap_or(month).max(LocalMonth(month.0 - MONTHS)),
        };
        for earlier in first.0..=month.0 {
            let mut totals = self.totals(&mut snapshot, &points, LocalMonth(earlier)).await?;
            for (account, place) in &open {
                let some = lines(totals.remove(account).unwrap_or_default(), *account, site.minor, &mut carries);
                let statement: &mut Statement = &mut all[*place];
                if earlier == month.0 {
                    statement.lines = some;
                } else {
                    statement.opening -= some.iter().map(|line| line.rounded).sum();
                }
            }
        }
        Ok(all)
    }
}

impl Handle {
    /// An account's statement of a month; none where the site has no such month.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what could not be read.
    pub async fn statement(
        &self,
        account: AccountId,
        month: LocalMonth,
    ) -> Result<Result<Option<Statement>, Refused>, Stopped> {
        Ok(self.statements(vec![account], month).await?.map(|mut all| all.pop()))
    }

    /// Statements of a month in the order of accounts, all from one state of the book; accounts whose site has no such
    /// month are left out.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what could not be read.
    pub async fn statements(
        &self,
        accounts: Vec<AccountId>,
        month: LocalMonth,
    ) -> Result<Result<Vec<Statement>, Refused>, Stopped> {
        self.change(move |writer| Box::pin(async move { Ok((writer.statements(&accounts, month).await?, None)) })).await
    }

    /// The month of an account's statement of this number; none where there is no such statement, or it was withdrawn.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn statement_month(&self, account: AccountId, number: i64) -> Result<Option<LocalMonth>, BookError> {
        let sql = "SELECT MIN(local_month) FROM statement_lines WHERE account_id = $1 AND statement = $2 \
                   AND withdrawn_at IS NULL";
        let query = sqlx::query(sql).bind(i64::from(account.0)).bind(number);
        let found: Option<i64> = query.fetch_one(self.book().reader()).await?.try_get(0)?;
        Ok(found.and_then(|month| i32::try_from(month).ok()).map(LocalMonth))
    }
}

/// Open months before a statement that are looked at (30 years).
const MONTHS: i32 = 360;

/// Withdraws the statements of a month that is opened again: what they carried in is carried again.
pub(super) async fn withdraw(tx: &mut Tx, site: SiteId, month: LocalMonth, at: Moment) -> Result<(), BookError> {
    let sql = "SELECT l.account_id, l.service_point_id, l.component, l.band, l.tier, l.tariff_version_id, l.carried_in \
               FROM statement_lines l JOIN accounts a ON a.id = l.account_id \
               WHERE a.site_id = $1 AND l.local_month = $2 AND l.withdrawn_at IS NULL ORDER BY l.account_id, l.line DESC";
    let query = sqlx::query(sql).bind(i64::from(site.0)).bind(i64::from(month.0));
    let mut carries = Carries::new();
    for row in query.fetch_all(tx.conn()).await? {
        let int = |column: usize| row.try_get::<i64, _>(column);
        let key = carry_key(int(1)?, row.try_get(2)?, int(3)?, int(4)?, int(5)?);
        let amount = ledger::amount(&row.try_get::<String, _>(6)?, "statement_lines.carried_in")?;
        // The first line of a key comes last.
        carries.insert((account_id(int(0)?), key), amount);
    }
    write_carries(tx, &carries).await?;
    let sql = "UPDATE statement_lines SET withdrawn_at = $1 WHERE local_month = $2 AND withdrawn_at IS NULL \
               AND account_id IN (SELECT id FROM accounts WHERE site_id = $3)";
    let update = sqlx::query(sql).bind(at.0).bind(i64::from(month.0)).bind(i64::from(site.0));
    update.execute(tx.conn()).await?;
    Ok(())
}

async fn write_carries(tx: &mut Tx, carries: &Carries) -> Result<(), BookError> {
    let rows = carries.iter().map(|((account, key), amount)| -> [Cell<'_>; 7] {
        [
            account.0.into(),
            key.point.0.into(),
            key.component.as_str().into(),
            i64::from(key.band).into(),
            i64::from(key.tier).into(),
            key.version.0.into(),
            amount.to_string().into(),
        ]
    });
    let head = "INSERT INTO statement_carries (account_id, service_point_id, component, band, tier, tariff_version_id, \
                amount) VALUES";
    let tail = "ON CONFLICT (account_id, service_point_id, component, band, tier, tariff_version_id) \
                DO UPDATE SET amount = excluded.amount";
    bulk::insert(tx, head, tail, rows).await?;
    Ok(())
}

async fn carries(connection: &mut sqlx::AnyConnection, only: Option<AccountId>) -> Result<Carries, BookError> {
    let sql = "SELECT account_id, service_point_id, component, band, tier, tariff_version_id, amount FROM statement_carries \
               WHERE account_id >= $1 AND account_id <= $2";
    let (least, most) = only.map_or((0, i64::from(u32::MAX)), |id| (i64::from(id.0), i64::from(id.0)));
    let mut carries = Carries::new();
    for row in sqlx::query(sql).bind(least).bind(most).fetch_all(connection).await? {
        let int = |column: usize| row.try_get::<i64, _>(column);
        let key = carry_key(int(1)?, row.try_get(2)?, int(3)?, int(4)?, int(5)?);
        let amount = ledger::amount(&row.try_get::<String, _>(6)?, "statement_carries.amount")?;
        carries.insert((account_id(int(0)?), key), amount);
    }
    Ok(carries)
}

/// The last number of each account's statements, withdrawn ones included.
async fn numbers(connection: &mut sqlx::AnyConnection) -> Result<BTreeMap<AccountId, i64>, BookError> {
    let sql = "SELECT account_id, MAX(statement) FROM statement_lines GROUP BY account_id";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(account, number)| (account_id(account), number)).collect())
}

type Frozen = ((i64, Moment), Vec<StatementLine>);

async fn frozen(
    connection: &mut sqlx::AnyConnection,
    account: AccountId,
    month: LocalMonth,
) -> Result<Option<Frozen>, BookError> {
    let sql = "SELECT statement, closed_at, service_point_id, usage_month, component, band, tier, tariff_version_id, quantity, \
               amount, carried_in, rounded, carried_out, first_date FROM statement_lines \
               WHERE account_id = $1 AND local_month = $2 AND withdrawn_at IS NULL ORDER BY line";
    let query = sqlx::query(sql).bind(i64::from(account.0)).bind(i64::from(month.0));
    let mut found: Option<Frozen> = None;
    for row in query.fetch_all(connection).await? {
        let int = |column: usize| row.try_get::<i64, _>(column);
        let amount = |column: usize| -> Result<Amount, BookError> {
            ledger::amount(&row.try_get::<String, _>(column)?, "statement_lines")
        };
        let line = StatementLine {
            key: carry_key(int(2)?, row.try_get(4)?, int(5)?, int(6)?, int(7)?),
            usage_month: LocalMonth(i32::try_from(int(3)?).unwrap_or(i32::MAX)),
            first_day: date(int(13)?),
            quantity: Quantity(int(8)?),
            amount: amount(9)?,
            carried_in: amount(10)?,
            rounded: amount(11)?,
            carried_out: amount(12)?,
        };
        let closed = (int(0)?, Moment(int(1)?));
        found.get_or_insert_with(|| (closed, Vec::new())).1.push(line);
    }
    Ok(found)
}

/// What moved on the wallet from one moment to another, other than charges and adjustments of charges.
async fn movements(
    connection: &mut sqlx::AnyConnection,
    account: AccountId,
    from: Moment,
    to: Moment,
) -> Result<Vec<Movement>, BookError> {
    // Arrears and deposits are the account's too; a statement tells of its wallet alone.
    let sql = "SELECT t.booked_at, t.kind, t.memo, t.amount, \
               CASE WHEN c.account_id = $1 AND c.name LIKE 'wallet:%' THEN 1 ELSE 0 END FROM transfers t \
               JOIN ledger_accounts d ON d.id = t.debit_id JOIN ledger_accounts c ON c.id = t.credit_id \
               WHERE t.account_id = $1 AND t.kind NOT IN ('usage', 'usage_difference') \
               AND t.booked_at >= $2 AND t.booked_at < $3 \
               AND (d.account_id = $1 AND d.name LIKE 'wallet:%' OR c.account_id = $1 AND c.name LIKE 'wallet:%') \
               AND t.id NOT IN (SELECT transfer_id FROM adjustment_lines) ORDER BY t.id";
    let query = sqlx::query(sql).bind(i64::from(account.0)).bind(from.0).bind(to.0);
    let mut movements = Vec::new();
    for row in query.fetch_all(connection).await? {
        let amount = ledger::amount(&row.try_get::<String, _>(3)?, "transfers.amount")?;
        let credited = row.try_get::<i64, _>(4)? == 1;
        movements.push(Movement {
            at: Moment(row.try_get(0)?),
            kind: row.try_get(1)?,
            memo: row.try_get(2)?,
            amount: if credited { amount } else { -amount },
        });
    }
    Ok(movements)
}

fn account_id(value: i64) -> AccountId {
    AccountId(u32::try_from(value).unwrap_or(u32::MAX))
}

fn date(value: i64) -> LocalDate {
    LocalDate(i32::try_from(value).unwrap_or(i32::MAX))
}

fn carry_key(point: i64, component: String, band: i64, tier: i64, version: i64) -> CarryKey {
    CarryKey {
        point: ServicePointId(u32::try_from(point).unwrap_or(u32::MAX)),
        component,
        band: u8::try_from(band).unwrap_or(u8::MAX),
        tier: u16::try_from(tier).unwrap_or(u16::MAX),
        version: TariffVersionId(u32::try_from(version).unwrap_or(u32::MAX)),
    }
}
