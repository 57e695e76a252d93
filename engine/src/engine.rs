//! An open data folder: lock, book, log, lake and the running writer.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::control::decide::Evaluation;
use kernel::epoch::ProfileFacts;
use kernel::id::{AccountId, CommandId, Seq, ServicePointId, SiteId};
use kernel::reading::Verdict;
use kernel::time::{LocalMonth, Moment};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use wal::clock::Clock;
use wal::{Appender, LogId, RealDisk, Wal};

use crate::billing::acknowledge::Acknowledgement;
use crate::billing::adjustments::Proposal;
use crate::billing::apply::ApplyError;
use crate::billing::balances::Balances;
use crate::billing::closing::{CloseAccount, ClosedAccount, ClosingError};
use crate::billing::components::ComponentLine;
use crate::billing::correct::CorrectReading;
use crate::billing::error::BillingError;
use crate::billing::explain::{Explained, ExplainedPart};
use crate::billing::hands;
use crate::billing::hot::Hot;
use crate::billing::keep::KeepPower;
use crate::billing::outages::{StateOutage, Stated};
use crate::billing::periods::Refused;
use crate::billing::recovery::Places;
use crate::billing::service::{FRAMES, LocalFuture, REQUESTS, Request, Service};
use crate::billing::supply::Doors;
use crate::billing::writer::Writer;
use crate::book::chain::{self, Entry};
use crate::book::orders::{self, OrderError, Outcome};
use crate::book::payments::{PaymentError, TopUp, TopUpOutcome};
use crate::book::refunds::{Decided, Decision};
use crate::book::{Book, BookError, Tx};
use crate::control::by_hand::{ByHand, Taken};
use crate::registry::{self, Registry};
use crate::site_file::{RegisterEdit, SiteText};

/// Hot rows above which the log's frames wait (16 M rows x 40 bytes = 640 MB): the doors wait with them.
const HOT_ROWS_MAX: usize = 16_000_000;
/// Committed frames between the log and the hot store.
const COMMITTED: usize = 64;

/// How a data folder is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one clock.
    pub clock: Clock,
    /// Real time between two settlements (1 s by default).
    pub settle_every: Duration,
}

impl Options {
    /// The defaults with this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Options {
        Options { clock, settle_every: Duration::from_secs(1) }
    }
}

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("{} is in use by another meterledger process: a server answers commands through its control socket; to start another, stop it first; a command beside another command waits until that has ended", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be written.
    #[error("cannot lock {}: {source}; make the data folder writable for this user, or name another --data-dir", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Book, log or lake.
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl From<BookError> for OpenError {
    fn from(error: BookError) -> OpenError {
        OpenError::Billing(error.into())
    }
}

/// An open data folder. All handles to it may be cloned; [`Engine::close`] ends it.
#[derive(Debug)]
pub struct Engine {
    folder: PathBuf,
    book: Book,
    hot: Arc<Hot>,
    registry: Arc<RwLock<Arc<Registry>>>,
    requests: mpsc::Sender<Request>,
    appender: Appender,
    wal: Wal,
    /// Pricing has a thread of its own: it never waits for the doors' tasks, nor they for it.
    service: std::thread::JoinHandle<Result<(), BillingError>>,
    feeder: JoinHandle<()>,
    /// Holds the lock until it is dropped.
    _lock: File,
}

/// What asks the engine for things; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    book: Book,
    hot: Arc<Hot>,
    lake: PathBuf,
    registry: Arc<RwLock<Arc<Registry>>>,
}

/// The engine has stopped, for a reason that its own error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "billing has stopped; its last message in the log says why. Readings stay safe in the log: start again after mending the cause"
)]
pub struct Stopped;

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let fault = |source| OpenError::Lock { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(fault)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(folder.to_path_buf())),
        Err(error) => Err(fault(error.into())),
    }
}

impl Engine {
    /// Opens a data folder (creating it where there is none), recovers, and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then.
    pub async fn open(folder: &Path, options: Options) -> Result<Engine, OpenError> {
        let lock = lock(folder)?;
        let clock = options.clock.clone();
        let new_log = clock.now().0.unsigned_abs().rotate_left(17) ^ u64::from(std::process::id());
        let book = Book::open_or_create(folder, new_log, clock.now()).await?;
        let registry = registry::load(&book).await?;
        let places = Places::of(folder);
        let disk: Arc<dyn wal::Disk> = Arc::new(RealDisk);
        let (committed, mut frames) = mpsc::channel(COMMITTED);
        let log_options = wal::Options::new(LogId(book.log_id()));
        let (wal, recovered) =
            Wal::open(&places.log, Arc::clone(&disk), log_options, committed).map_err(BillingError::from)?;
        if let Some(torn) = &recovered.torn {
            tracing::warn!(?torn, "cut off what a crash had left half written at the end of the log");
        }
        let writer = Writer::recover(book.clone(), Arc::clone(&registry), clock, &places, disk, &recovered).await?;
        let hot = Arc::clone(&writer.hot);
        let (requests, asked) = mpsc::channel(REQUESTS);
        let (priced, arriving) = mpsc::channel(FRAMES);
        let service = Service::new(writer, asked, arriving, options.settle_every);
        let service = std::thread::Builder::new().name("billing".into()).spawn(move || service.run_here());
        let service = service.map_err(|source| OpenError::Lock { path: folder.to_path_buf(), source })?;
        let feed = Arc::clone(&hot);
        let feeder = tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                while feed.rows() > HOT_ROWS_MAX && !priced.is_closed() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                // Visible to queries before it is priced.
                feed.push(frame.seq, Arc::clone(&frame.payload), Verdict::Pending);
                if priced.send((frame.seq, frame.payload)).await.is_err() {
                    return;
                }
            }
        });
        let appender = wal.appender();
        let registry = Arc::new(RwLock::new(registry));
        let folder = folder.to_path_buf();
        Ok(Engine { folder, book, hot, registry, requests, appender, wal, service, feeder, _lock: lock })
    }

    /// What asks it for things.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            requests: self.requests.clone(),
            book: self.book.clone(),
            hot: Arc::clone(&self.hot),
            lake: Places::of(&self.folder).lake,
            registry: Arc::clone(&self.registry),
        }
    }

    /// Where submissions enter the log.
    #[must_use]
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Settles what has arrived and closes everything.
    ///
    /// # Errors
    /// What kept the last settlement from being written; the log holds its readings.
    pub async fn close(self) -> Result<(), BillingError> {
        let Engine { requests, appender, wal, service, feeder, book, .. } = self;
        drop(appender);
        // First the log, so that its last frames are on their way; then the feeder has none left; then the writer.
        let _ = tokio::task::spawn_blocking(move || wal.shutdown()).await;
        let _ = feeder.await;
        let (reply, stopped) = oneshot::channel();
        let outcome = match requests.send(Request::Stop(reply)).await {
            Ok(()) => stopped.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        };
        drop(requests);
        let ended = tokio::task::spawn_blocking(move || service.join()).await;
        book.close().await;
        outcome?;
        match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

impl Handle {
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The registry of now.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The book, for reading.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The hot rows.
    #[must_use]
    pub fn hot(&self) -> &Arc<Hot> {
        &self.hot
    }

    /// The folder of the lake.
    #[must_use]
    pub fn lake(&self) -> &Path {
        &self.lake
    }

    /// Waits until billing has stopped, by itself or because it was told to.
    pub async fn stopped(&self) {
        self.requests.closed().await;
    }

    /// Posts a payment; returns when it is in the book.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why the payment is refused.
    pub async fn top_up(&self, top_up: TopUp) -> Result<Result<TopUpOutcome, PaymentError>, Stopped> {
        self.ask(|reply| Request::TopUp(top_up, reply)).await
    }

    /// Carries out an order that moves money; returns when it is in the book.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why the order is refused.
    pub async fn order(&self, order: orders::Request) -> Result<Result<Outcome, OrderError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let (done, news) = writer.order(&order).await;
                    let _ = reply.send(done);
                    writer.follow_up(news).await;
                })
            }))
        })
        .await
    }

    /// Approves or rejects a request for a refund.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why the decision is refused.
    pub async fn decide_refund(&self, decision: Decision) -> Result<Result<Decided, OrderError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let (done, news) = writer.decide_refund(&decision).await;
                    let _ = reply.send(done);
                    writer.follow_up(news).await;
                })
            }))
        })
        .await
    }

    /// Closes an account: contracts end, the final balance becomes a refund or arrears.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why it is not closed.
    pub async fn close_account(&self, order: CloseAccount) -> Result<Result<ClosedAccount, ClosingError>, Stopped> {
        let current = Arc::clone(&self.registry);
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let closed = writer.close_account(&order).await;
                    *current.write().unwrap_or_else(PoisonError::into_inner) = writer.registry();
                    let _ = reply.send(closed);
                })
            }))
        })
        .await
    }

    /// Hands a service point from one account to another at a moment; gives what changes, in words.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why it is not handed over.
    pub async fn move_point(
        &self,
        point: ServicePointId,
        accounts: (AccountId, AccountId),
        at: Moment,
        actor: &str,
    ) -> Result<Result<Vec<String>, ClosingError>, Stopped> {
        let (actor, current) = (actor.to_owned(), Arc::clone(&self.registry));
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let moved = writer.move_point(point, accounts, at, &actor).await;
                    *current.write().unwrap_or_else(PoisonError::into_inner) = writer.registry();
                    let _ = reply.send(moved);
                })
            }))
        })
        .await
    }

    /// All balances, with every frame that billing has taken.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn balances(&self) -> Result<Balances, Stopped> {
        self.ask(Request::Balances).await
    }

    /// Waits until the frame `seq` is priced and settled.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what stopped it.
    pub async fn settled(&self, seq: Seq) -> Result<Result<Seq, BillingError>, Stopped> {
        tokio::select! {
            () = self.hot.wait_for(seq) => {}
            () = self.requests.closed() => return Err(Stopped),
        }
        loop {
            match self.ask(Request::Settle).await? {
                Ok(settled) if settled < seq => tokio::task::yield_now().await,
                other => return Ok(other),
            }
        }
    }

    /// Waits until everything settled so far is in the lake.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what stopped it.
    pub async fn file(&self) -> Result<Result<(), BillingError>, Stopped> {
        self.ask(Request::File).await
    }

    /// Brings the book to a site file; gives what changes, in words. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says what the file has wrong, all of it.
    pub async fn apply(
        &self,
        site: impl Into<SiteText>,
        name: &str,
        profiles: BTreeMap<String, ProfileFacts>,
        actor: &str,
        dry_run: bool,
    ) -> Result<Result<Vec<String>, ApplyError>, Stopped> {
        let (site, name, actor) = (site.into(), name.to_owned(), actor.to_owned());
        let current = Arc::clone(&self.registry);
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let applied = writer.apply(site, &name, &profiles, &actor, dry_run).await;
                    let changes = applied.map(|(changes, registry)| {
                        *current.write().unwrap_or_else(PoisonError::into_inner) = registry;
                        changes
                    });
                    let _ = reply.send(changes);
                })
            }))
        })
        .await
    }

    /// Runs work on the writer between two settlements; a registry that it gives is the registry of now.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Writer) -> LocalFuture<'a, Result<(T, Option<Arc<Registry>>), Refused>>
        + Send
        + 'static,
    ) -> Result<Result<T, Refused>, Stopped> {
        let current = Arc::clone(&self.registry);
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let done = work(writer).await.map(|(done, registry)| {
                        if let Some(registry) = registry {
                            *current.write().unwrap_or_else(PoisonError::into_inner) = registry;
                        }
                        done
                    });
                    let _ = reply.send(done);
                })
            }))
        })
        .await
    }

    /// Runs work in a transaction of the book between two settlements, and commits what it gives.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Tx) -> LocalFuture<'a, Result<T, E>> + Send + 'static,
    ) -> Result<Result<T, E>, Stopped>
    where
        T: Send + 'static,
        E: From<BookError> + Send + 'static,
    {
        let book = self.book.clone();
        self.ask(|reply| {
            Request::With(Box::new(move |_| {
                Box::pin(async move {
                    let done = async {
                        let mut tx = book.begin().await?;
                        let done = work(&mut tx).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    let _ = reply.send(done.await);
                })
            }))
        })
        .await
    }

    /// Writes down in the audit log what somebody has done.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is the book's.
    pub async fn record(&self, entry: Entry) -> Result<Result<(), BookError>, Stopped> {
        self.write(move |tx| Box::pin(async move { chain::append(tx, entry).await })).await
    }

    /// Marks a month of some sites as being looked at.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn review_period(
        &self,
        sites: Vec<SiteId>,
        month: LocalMonth,
        actor: &str,
    ) -> Result<Result<Vec<String>, Refused>, Stopped> {
        let actor = actor.to_owned();
        self.change(move |writer| {
            Box::pin(async move { Ok((writer.review_period(&sites, month, &actor).await?, None)) })
        })
        .await
    }

    /// Closes a month of some sites: posts all its lines and freezes its statements. Demand that readings do not tell in
    /// whole is charged `as_measured` only where somebody says why.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one names everything that is missing.
    pub async fn close_period(
        &self,
        sites: Vec<SiteId>,
        month: LocalMonth,
        actor: &str,
        as_measured: Option<&str>,
    ) -> Result<Result<(), Refused>, Stopped> {
        let (actor, reason) = (actor.to_owned(), as_measured.map(str::to_owned));
        self.change(move |writer| {
            Box::pin(
                async move { Ok(((), Some(writer.close_period(&sites, month, &actor, reason.as_deref()).await?))) },
            )
        })
        .await
    }

    /// Opens the last closed month of some sites again.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn reopen_period(
        &self,
        sites: Vec<SiteId>,
        month: LocalMonth,
        actor: &str,
        reason: &str,
    ) -> Result<Result<(), Refused>, Stopped> {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        self.change(move |writer| {
            Box::pin(async move { Ok(((), Some(writer.reopen_period(&sites, month, &actor, &reason).await?))) })
        })
        .await
    }

    /// Approves an adjustment, which posts it, or rejects it; gives the adjustment.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn decide_adjustment(
        &self,
        id: i64,
        approve: bool,
        actor: &str,
        reason: &str,
    ) -> Result<Result<Proposal, Refused>, Stopped> {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        self.change(move |writer| {
            Box::pin(async move {
                let decided = match approve {
                    true => writer.approve_adjustment(id, &actor, &reason).await?,
                    false => writer.reject_adjustment(id, &actor, &reason).await?,
                };
                Ok((decided, None))
            })
        })
        .await
    }

    /// Corrects a reading; gives the correction's number and what billing makes of it.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn correct(&self, asked: CorrectReading) -> Result<Result<(i64, Verdict), Refused>, Stopped> {
        self.change(move |writer| Box::pin(async move { Ok((writer.correct(&asked).await?, None)) })).await
    }

    /// Records an outage of a meter, or withdraws one; gives its number.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn state_outage(&self, asked: StateOutage) -> Result<Result<i64, Refused>, Stopped> {
        let stated = self.state_outages(vec![asked]).await?;
        Ok(stated.and_then(|mut stated| {
            let refused = || Err("nothing was stated".to_owned());
            stated.pop().unwrap_or_else(refused).map_err(|why| Refused::Because(vec![why]))
        }))
    }

    /// Records outages of meters, or withdraws them, all in one change; gives the number of each, or why it is refused.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is billing's.
    pub async fn state_outages(&self, asked: Vec<StateOutage>) -> Result<Result<Stated, Refused>, Stopped> {
        self.change(move |writer| {
            Box::pin(async move {
                let (stated, registry) = writer.state_outages(&asked).await?;
                Ok((stated, Some(registry)))
            })
        })
        .await
    }

    /// Writes down that a person has looked at a finding of the view `data_quality`.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is the book's.
    pub async fn acknowledge(&self, acknowledged: Acknowledgement) -> Result<Result<(), BookError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let _ = reply.send(writer.acknowledge(acknowledged).await);
                })
            }))
        })
        .await
    }

    /// Changes one register: a meter replaced, a multiplier changed, a register that began anew; gives what changes, in
    /// words. With `dry_run` nothing is written. Made twice, it changes nothing the second time.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says all that is wrong with it.
    pub async fn change_register(
        &self,
        edit: RegisterEdit,
        profiles: BTreeMap<String, ProfileFacts>,
        actor: &str,
        dry_run: bool,
    ) -> Result<Result<Vec<String>, ApplyError>, Stopped> {
        let actor = actor.to_owned();
        let current = Arc::clone(&self.registry);
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let applied = writer.change_register(&edit, &profiles, &actor, dry_run).await;
                    let changes = applied.map(|(changes, registry)| {
                        *current.write().unwrap_or_else(PoisonError::into_inner) = registry;
                        changes
                    });
                    let _ = reply.send(changes);
                })
            }))
        })
        .await
    }

    /// Keeps an account's power on until a moment, or no longer; gives the meters that are open by hand all the same.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn keep_power(&self, asked: KeepPower) -> Result<Result<Vec<String>, Refused>, Stopped> {
        self.change(move |writer| Box::pin(async move { Ok((writer.keep_power(asked).await?, None)) })).await
    }

    /// Switches a supply by a person's order.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn switch_by_hand(&self, order: ByHand) -> Result<Result<Taken, Refused>, Stopped> {
        self.change(move |writer| Box::pin(async move { Ok((writer.switch_by_hand(&order).await?, None)) })).await
    }

    /// Approves a relay command that asks for it, or calls off one that was not sent.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn decide_command(
        &self,
        id: CommandId,
        verdict: hands::Verdict,
        actor: &str,
    ) -> Result<Result<(), Refused>, Stopped> {
        let actor = actor.to_owned();
        self.change(move |writer| {
            Box::pin(async move { Ok((writer.decide_command(id, verdict, &actor).await?, None)) })
        })
        .await
    }

    /// Lets a site's cuts go on after its fleet brake stopped them.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn release_brake(&self, site: SiteId, actor: &str) -> Result<Result<(), Refused>, Stopped> {
        let actor = actor.to_owned();
        self.change(move |writer| Box::pin(async move { Ok((writer.release_brake(site, &actor).await?, None)) })).await
    }

    /// What control would decide of an account now, with every reason; nothing where no control runs.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn look_at(&self, account: AccountId) -> Result<Option<Evaluation>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let _ = reply.send(writer.look_at(account));
                })
            }))
        })
        .await
    }

    /// Starts the control loop: from now on supply is cut and reconnected by policy. To be called once, by the process
    /// that polls the meters.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what could not be loaded.
    pub async fn start_control(&self, doors: Doors) -> Result<Result<(), BillingError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let _ = reply.send(writer.start_control(doors).await);
                })
            }))
        })
        .await
    }

    /// Every charge that is asked for.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one is what could not be read.
    pub async fn explain(&self, asked: Explained) -> Result<Result<Vec<ExplainedPart>, BillingError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let _ = reply.send(writer.explain(&asked).await);
                })
            }))
        })
        .await
    }

    /// The charges beside energy of an account on a local day: charged under it, or to be expected there.
    ///
    /// # Errors
    /// [`Stopped`]; inside, [`BillingError`] where book or lake cannot be read.
    pub async fn explain_components(
        &self,
        account: AccountId,
        date: kernel::time::LocalDate,
    ) -> Result<Result<Vec<ComponentLine>, BillingError>, Stopped> {
        self.ask(|reply| {
            Request::With(Box::new(move |writer| {
                Box::pin(async move {
                    let _ = reply.send(writer.explain_components(account, date).await);
                })
            }))
        })
        .await
    }
}
