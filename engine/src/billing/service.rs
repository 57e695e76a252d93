//! The writer as a running service: one task that takes requests, frames and the settlement's tick in turn.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kernel::batch::Payload;
use kernel::id::Seq;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::balances::Balances;
use super::error::BillingError;
use super::filing::Filed;
use super::writer::Writer;
use crate::book::BookError;
use crate::book::payments::{PaymentError, TopUp, TopUpOutcome, post_top_up};

/// Requests that wait for the writer (each a few hundred bytes).
pub const REQUESTS: usize = 1_024;
/// Frames that wait to be priced; the rows are shared with the hot store, which has the limit that counts.
pub const FRAMES: usize = 1_024;
/// A settlement is due after so many rows, whatever the time (2 M rows x 4 lines a day are some 100,000 rows of book).
const SETTLE_ROWS: usize = 2_000_000;
/// Hot rows are filed above this number (8 M rows x 40 bytes = 320 MB).
const FILE_ROWS: usize = 8_000_000;
/// Hot rows of at least this number are filed when the last filing is [`FILE_AFTER`] ago.
const FILE_ROWS_AT_REST: usize = 200_000;
/// See [`FILE_ROWS_AT_REST`].
const FILE_AFTER: Duration = Duration::from_secs(60);
/// How long a filing that failed waits before it is tried again.
const FILE_RETRY: Duration = Duration::from_secs(10);

/// What is asked of the writer.
pub(crate) enum Request {
    TopUp(TopUp, oneshot::Sender<Result<TopUpOutcome, PaymentError>>),
    Balances(oneshot::Sender<Balances>),
    /// Settle now; answers with the last frame that the book includes.
    Settle(oneshot::Sender<Result<Seq, BillingError>>),
    /// Settle and file everything that has arrived.
    File(oneshot::Sender<Result<(), BillingError>>),
    /// Anything else that needs the writer between two settlements.
    With(Work),
    Stop(oneshot::Sender<Result<(), BillingError>>),
}

/// Work on the writer, between two settlements, on its thread.
pub(crate) type Work = Box<dyn for<'a> FnOnce(&'a mut Writer) -> LocalFuture<'a> + Send>;

/// A future that stays on the writer's thread.
pub(crate) type LocalFuture<'a, T = ()> = Pin<Box<dyn Future<Output = T> + 'a>>;

type Filing = Pin<Box<dyn Future<Output = Result<Filed, BillingError>> + Send>>;

/// The running writer.
pub(crate) struct Service {
    writer: Writer,
    requests: mpsc::Receiver<Request>,
    frames: mpsc::Receiver<(Seq, Arc<Payload>)>,
    tick: Duration,
    /// No frame will come any more.
    log_closed: bool,
    filing: Option<Filing>,
    /// Who waits for everything to be filed.
    filers: Vec<oneshot::Sender<Result<(), BillingError>>>,
    /// How many of them asked before the filing that is under way began.
    asked_before: usize,
    /// After a filing that failed: not before this.
    filing_waits: Instant,
    last_filing: Instant,
    next_tick: Instant,
    /// Files that are no longer listed, to be removed after the next filing.
    unlisted: Vec<PathBuf>,
}

impl Service {
    pub(crate) fn new(
        writer: Writer,
        requests: mpsc::Receiver<Request>,
        frames: mpsc::Receiver<(Seq, Arc<Payload>)>,
        tick: Duration,
    ) -> Service {
        let now = Instant::now();
        let (filing, filers, unlisted) = (None, Vec::new(), Vec::new());
        Service {
            writer,
            requests,
            frames,
            tick,
            log_closed: false,
            filing,
            filers,
            asked_before: 0,
            filing_waits: now,
            last_filing: now,
            next_tick: now + tick,
            unlisted,
        }
    }

    /// Runs on this thread until it is told to stop or cannot go on.
    pub(crate) fn run_here(self) -> Result<(), BillingError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| BillingError::Apart(format!("cannot start the billing thread: {error}")))?;
        let ended = runtime.block_on(self.run());
        if let Err(error) = &ended {
            tracing::error!(%error, "billing has stopped");
        }
        ended
    }

    async fn run(mut self) -> Result<(), BillingError> {
        loop {
            let filing = async {
                match &mut self.filing {
                    Some(filing) => filing.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(Request::Stop(reply)) => {
                        let stopped = self.stop().await;
                        let failed = stopped.is_err();
                        // Whoever asked may have gone; the outcome is the service's too.
                        let _ = reply.send(stopped);
                        return if failed { Err(BillingError::Apart("billing stopped with an error".into())) } else { Ok(()) };
                    }
                    Some(request) => self.answer(request).await?,
                    None => return self.stop().await,
                },
                filed = filing => {
                    self.filing = None;
                    self.end_filing(filed).await?;
                }
                () = tokio::time::sleep_until(self.next_tick) => self.tick().await?,
                frame = self.frames.recv(), if !self.log_closed => match frame {
                    Some((seq, payload)) => self.take(seq, &payload).await?,
                    None => self.log_closed = true,
                },
            }
        }
    }

    async fn take(&mut self, seq: Seq, payload: &Payload) -> Result<(), BillingError> {
        self.writer.price(seq, payload);
        let news = matches!(payload, Payload::Observations(_)) && self.writer.control.is_some();
        if news {
            // At a start every meter has news: one settlement for all that is waiting, not one for each.
            while self.writer.unsettled_rows < SETTLE_ROWS {
                let Ok((seq, payload)) = self.frames.try_recv() else { break };
                self.writer.price(seq, &payload);
            }
        }
        if news || self.writer.unsettled_rows >= SETTLE_ROWS || Instant::now() >= self.next_tick {
            self.tick().await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), BillingError> {
        let began = Instant::now();
        self.writer.settle().await?;
        // Under load the ticks stretch: never more than half of the time goes into settling.
        self.next_tick = Instant::now() + self.tick.max(began.elapsed());
        if let Some(wake) = self.writer.wake_in() {
            // Control has something due before; no sooner than a millisecond, so that it cannot spin.
            self.next_tick = self.next_tick.min(Instant::now() + wake.max(Duration::from_millis(1)));
        }
        self.writer.deliver_due().await?;
        let rows = self.writer.hot.rows();
        let rested = self.last_filing.elapsed() >= FILE_AFTER && rows >= FILE_ROWS_AT_REST;
        let may = self.filing.is_none() && began >= self.filing_waits;
        if may && (rows >= FILE_ROWS || rested || !self.filers.is_empty()) {
            self.begin_filing();
        }
        Ok(())
    }

    fn begin_filing(&mut self) {
        self.asked_before = self.filers.len();
        if self.writer.has_unfiled() {
            self.filing = Some(Box::pin(tokio::spawn(self.writer.start_filing()).then_flat()));
        } else {
            for filer in self.filers.drain(..) {
                let _ = filer.send(Ok(()));
            }
        }
        self.last_filing = Instant::now();
    }

    /// A disk that is full or out of reach ends a filing, not billing: it is tried again, and the doors wait where too
    /// many rows are hot. Whoever asked for the filing hears of it.
    async fn end_filing(&mut self, filed: Result<Filed, BillingError>) -> Result<(), BillingError> {
        let ended = match filed {
            Ok(filed) => self.finish_filing(filed).await,
            Err(error) => Err(error),
        };
        let Err(error) = ended else {
            // What was asked for meanwhile may need another filing.
            if !self.filers.is_empty() {
                self.begin_filing();
            }
            return Ok(());
        };
        let passes = matches!(
            &error,
            BillingError::Lake(_) | BillingError::Book(BookError::Full | BookError::Busy | BookError::ReadOnly)
        );
        if !passes {
            return Err(error);
        }
        tracing::error!(%error, "filing into the lake failed and is tried again; readings stay safe in the log");
        self.writer.give_up_filing();
        self.filing_waits = Instant::now() + FILE_RETRY;
        let why = error.to_string();
        for filer in self.filers.drain(..) {
            let _ = filer.send(Err(BillingError::Apart(why.clone())));
        }
        Ok(())
    }

    async fn finish_filing(&mut self, filed: Filed) -> Result<(), BillingError> {
        let unlisted = self.writer.finish_filing(filed).await?;
        for path in std::mem::replace(&mut self.unlisted, unlisted) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a replaced file of the lake could not be removed");
            }
        }
        for filer in self.filers.drain(..self.asked_before) {
            let _ = filer.send(Ok(()));
        }
        self.asked_before = 0;
        Ok(())
    }

    async fn answer(&mut self, request: Request) -> Result<(), BillingError> {
        match request {
            Request::TopUp(top_up, reply) => {
                let account = top_up.account;
                let outcome = self.writer.top_up(top_up).await;
                let posted = outcome.is_ok();
                // The payment is in the book: whoever waits need not wait for what follows from it.
                let _ = reply.send(outcome);
                self.broken()?;
                if posted && self.writer.paid(account) {
                    self.writer.settle().await?;
                }
            }
            Request::Balances(reply) => {
                let _ = reply.send(self.writer.balances());
            }
            Request::Settle(reply) => {
                self.take_waiting();
                self.writer.settle().await?;
                let _ = reply.send(Ok(self.writer.settled));
            }
            Request::File(reply) => {
                self.take_waiting();
                self.writer.settle().await?;
                // One that is under way may have begun before the last settlement.
                self.filers.push(reply);
                if self.filing.is_none() {
                    self.begin_filing();
                }
            }
            Request::With(work) => {
                self.take_waiting();
                self.writer.settle().await?;
                work(&mut self.writer).await;
                self.broken()?;
            }
            Request::Stop(reply) => {
                let _ = reply.send(Ok(()));
            }
        }
        Ok(())
    }

    /// Memory that no longer agrees with the book must not be billed from.
    fn broken(&mut self) -> Result<(), BillingError> {
        match self.writer.broken.take() {
            Some(why) => {
                Err(BillingError::Apart(format!("{why}; start again: billing goes on from what the book holds")))
            }
            None => Ok(()),
        }
    }

    /// Prices the frames that have arrived, so that what was acknowledged before a request counts in its answer. No
    /// more than the channel holds, so that a steady stream cannot keep the request waiting.
    fn take_waiting(&mut self) {
        for _ in 0..FRAMES {
            let Ok((seq, payload)) = self.frames.try_recv() else { return };
            self.writer.price(seq, &payload);
        }
    }

    async fn stop(&mut self) -> Result<(), BillingError> {
        if let Some(filing) = self.filing.take() {
            let filed = filing.await;
            self.end_filing(filed).await?;
        }
        // What was asked for beyond it is settled below and filed after the next start.
        if let Some(filing) = self.filing.take() {
            let filed = filing.await;
            self.end_filing(filed).await?;
        }
        self.take_waiting();
        self.writer.settle().await?;
        // What was delivered is not to be delivered again by the next server.
        self.writer.mark_delivered().await?;
        if self.writer.hot.rows() >= FILE_ROWS_AT_REST && self.writer.has_unfiled() {
            let filed = self.writer.start_filing().await;
            self.end_filing(filed).await?;
        }
        for path in self.unlisted.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }
}

/// A spawned task whose panic is the caller's panic.
trait ThenFlat<T> {
    fn then_flat(self) -> impl Future<Output = T> + Send;
}

impl<T: Send + 'static> ThenFlat<T> for tokio::task::JoinHandle<T> {
    async fn then_flat(self) -> T {
        match self.await {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

impl Writer {
    /// Posts a payment, at once, after the earlier frames.
    pub(crate) async fn top_up(&mut self, top_up: TopUp) -> Result<TopUpOutcome, PaymentError> {
        let mut tx = self.book.begin().await?;
        let (account, amount) = (top_up.account, top_up.amount);
        let outcome = post_top_up(&mut tx, &mut self.ledger, top_up).await;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                drop(tx);
                // Ledger accounts that the dropped transaction created must not be remembered.
                self.ledger = crate::book::ledger::LedgerAccounts::default();
                return Err(error);
            }
        };
        if let Err(error) = tx.commit().await {
            // As above; and where it is not known what the disk holds, only the book can say what the balance is.
            self.ledger = crate::book::ledger::LedgerAccounts::default();
            if !matches!(error, BookError::Full | BookError::Busy | BookError::ReadOnly) {
                self.broken = Some(error.to_string());
            }
            return Err(error.into());
        }
        if let TopUpOutcome::Posted { transfer } = outcome {
            if self.registry.account(account).is_some_and(|account| account.unit.is_some()) {
                // What the money bought, by several transfers, is for the book to say.
                if let Err(error) = self.reload_money(Some(account)).await {
                    self.broken = Some(error.to_string());
                }
                return Ok(outcome);
            }
            self.numbers.transfer = transfer + 1;
            self.pricing.wallets.entry(account).or_default().posted += amount;
        }
        Ok(outcome)
    }
}
