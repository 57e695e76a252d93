//! Untracked: measures a start.
use engine::engine::{Engine, Options};
use kernel::money::Amount;
use kernel::time::{DAY, HOUR, Moment};
use wal::clock::Clock;
#[tokio::main]
async fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let start = Moment(std::env::args().nth(2).unwrap().parse().unwrap());
    let real = Clock::live();
    let now = start.plus(3 * DAY + HOUR);
    let began = real.now();
    let engine = Engine::open(&folder, Options::new(Clock::manual(now))).await.unwrap();
    let opened = real.now().since(began);
    let balances = engine.handle().balances().await.unwrap();
    let answered = real.now().since(began);
    let sum: Amount = balances.iter().map(|(_, balance)| balance.balance).sum();
    println!("open {opened} us, {} balances after {answered} us; {sum:.2}", balances.iter().count());
    drop(balances);
    engine.close().await.unwrap();
}
