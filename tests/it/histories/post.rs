//! A daemon with two of the tables, and what befalls it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ledger::Told;
use super::replica::Replica;
use super::tables::{Mends, Table};
use crate::support::blind::Blind;
use crate::support::daemon::{Daemon, Site};
use crate::support::db::Db;
use crate::support::dice::Dice;
use crate::support::faketime;
use crate::support::proxy::Proxy;
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;

/// The clocks of daemons: that of the databases, ahead of it, behind it, and one that runs fast.
pub(super) const CLOCKS: [Option<(&str, i64)>; 4] =
    [None, Some(("+37m", 37 * 60)), Some(("-2h", -7200)), Some(("-90 x1.02", -90))];

pub(super) struct Post {
    pub(super) site: Site,
    pub(super) receiver: Arc<Receiver>,
    pub(super) daemon: Daemon,
    src: Proxy,
    des: Proxy,
    /// Seconds by which its clock is ahead.
    ahead: i64,
}

impl Post {
    /// `None` after a loud skip.
    pub(super) async fn new(
        at: usize,
        tables: &[Table],
        (src, des): (&Db, &Db),
        blind: &Blind,
        replica: &Arc<Replica>,
    ) -> Option<Self> {
        let (front, back) = (Proxy::before(src.server.as_ref()?), Proxy::before(des.server.as_ref()?));
        let receiver = Arc::new(receiver(tables, replica.clone(), at as u64).await);
        let tasks: serde_json::Map<String, Value> = (tables.iter())
            .map(|table| {
                let from = if table.is_told() { src.url() } else { blind.url() };
                let task = table.task(src, &front.url(&from), des, &back.url(&des.url()), &receiver.url());
                (format!("t{}", table.at), task)
            })
            .collect();
        let mut site = Site::new(&json!({
            "workerNumber": 4, "confirm": "1s", "lag": "4s", "hot": "10s",
            "retry": { "tries": 1000, "delay": "500ms" }, "tasks": tasks,
        }));
        let mut ahead = 0;
        if let Some((clock, seconds)) = CLOCKS[at] {
            if !faketime::set(&mut site, clock) {
                return None;
            }
            ahead = seconds;
        }
        let daemon = site.start_ready().await;
        Some(Self { site, receiver, daemon, src: front, des: back, ahead })
    }

    /// Trouble of its own until it is `over`; then all is as it was.
    pub(super) async fn suffer(
        &mut self,
        mut dice: Dice,
        over: &CancellationToken,
        log: &Mutex<Vec<String>>,
    ) {
        loop {
            let calm = Duration::from_millis(1000 + dice.number(3000));
            if over.run_until_cancelled(tokio::time::sleep(calm)).await.is_none() {
                return;
            }
            let pause = Duration::from_millis(200 + dice.number(1800));
            let what = [
                "killed",
                "stopped",
                "source gone",
                "source hangs",
                "copy gone",
                "copy hangs",
                "receiver gone",
            ][dice.below(7)];
            log.lock().unwrap().push(what.to_owned());
            match what {
                "killed" => self.daemon.kill(),
                "stopped" => drop(self.daemon.stop().await),
                "source gone" => self.src.shut(),
                "source hangs" => self.src.stall(),
                "copy gone" => self.des.shut(),
                "copy hangs" => self.des.stall(),
                _ => self.receiver.down(),
            }
            tokio::time::sleep(pause).await;
            match what {
                "killed" | "stopped" => self.daemon = self.site.start(),
                "receiver gone" => self.receiver.up(),
                _ => [&self.src, &self.des].into_iter().for_each(Proxy::open),
            }
        }
    }

    /// Deliveries that may still be called.
    pub(super) async fn waiting(&self) -> Option<i64> {
        let open = "SELECT count(*) FROM delivery WHERE ended_at IS NULL AND state <> 'verify'";
        state::try_number(&self.site, open).await
    }

    /// The calls so far.
    pub(super) fn told(&self) -> Vec<Told> {
        self.receiver.calls().iter().map(Told::read).collect()
    }

    /// It runs, nothing in it has panicked, and its clock is the one it should be: calls carry its time.
    pub(super) fn check(&mut self) {
        assert!(self.daemon.running(), "{}", self.daemon.output());
        let written = self.site.everything_written();
        let panics: Vec<&str> = written.lines().filter(|line| line.contains("panick")).collect();
        assert!(panics.is_empty(), "{panics:#?}");
        let now = cupid::base::clock::Clock::system().now() / 1000;
        for call in self.receiver.calls() {
            let told: i64 = call.header("webhook-timestamp").parse().unwrap();
            let then = now - i64::try_from(call.at.elapsed().as_secs()).unwrap();
            let off = told - then - self.ahead;
            assert!(off.abs() < 20, "a clock that is {} s ahead told {off} s more", self.ahead);
        }
    }
}

async fn receiver(tables: &[Table], replica: Arc<Replica>, seed: u64) -> Receiver {
    let tables = tables.to_vec();
    let dice = Mutex::new(Dice::new(seed));
    let mending = Arc::new(Mutex::new(JoinSet::new()));
    Receiver::with(move |call: Call| {
        let told = Told::read(&call);
        let table = *tables.iter().find(|table| table.at == told.key.0).expect("a table of this daemon");
        let (replica, mending) = (replica.clone(), mending.clone());
        let chance = dice.lock().unwrap().number(1500);
        async move {
            if chance < 150 {
                return Answer::Status(503);
            }
            // Only the copy has it: then it is to go. Its number is that of the deletion.
            let number = told.number.or_else(|| replica.deletion(told.key));
            let repair = replica.repair();
            let mend = async move {
                let _under_way = repair;
                if let Some(number) = number {
                    replica.show(told.key, number, told.number.is_none()).await;
                }
            };
            let pause = match table.mends() {
                Mends::AtOnce => 0,
                Mends::Later => chance,
                Mends::Never | Mends::Unseen => return Answer::Status(200),
            };
            // Of its own: a receiver that is cut off has mended what it began to, and the ledger knows.
            let (done, mended) = oneshot::channel();
            {
                let mut mending = mending.lock().unwrap();
                mending.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    mend.await;
                    let _ = done.send(());
                });
                while mending.try_join_next().is_some_and(|mended| mended.is_ok()) {}
            }
            if pause == 0 {
                let _ = mended.await;
            }
            Answer::Status(200)
        }
    })
    .await
}
