use async_trait::async_trait;

use super::*;
use crate::store::{Found, Line, Tally};

/// A history of so many deliveries, of which some are being worked on for a while.
#[derive(Default)]
struct Fake {
    count: i64,
    /// How often each is busy yet.
    busy: Mutex<BTreeMap<i64, u32>>,
    /// Whether the next call fails.
    fails: Mutex<bool>,
    acts: Mutex<Vec<Vec<i64>>>,
}

#[async_trait]
impl History for Fake {
    async fn find(
        &self,
        _: &Select,
        _: Order,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let from = after.map_or(1, |place| place.number + 1);
        let places: Vec<Place> =
            (from..=self.count).take(limit).map(|number| Place { found_at: 7, number }).collect();
        let next = places.last().copied().filter(|last| last.number < self.count);
        Ok(Found { places, next, searched: 0 })
    }

    async fn act(&self, act: Act) -> Result<Vec<(i64, Acted)>, StoreError> {
        if std::mem::take(&mut *self.fails.lock().unwrap()) {
            return Err(StoreError::new(StoreErrorKind::Unwritable, "full"));
        }
        let mut busy = self.busy.lock().unwrap();
        self.acts.lock().unwrap().push(act.numbers.clone());
        let mut one = |number: i64| match busy.get_mut(&number) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Acted::Busy
            }
            _ => Acted::Done,
        };
        Ok(act.numbers.iter().map(|number| (*number, one(*number))).collect())
    }

    async fn lines(&self, _: &[i64]) -> Result<Vec<Line>, StoreError> {
        Ok(Vec::new())
    }

    async fn tally(&self, _: &Select) -> Result<Vec<Tally>, StoreError> {
        Ok(Vec::new())
    }

    async fn beginning_with(&self, _: &str) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn record(&self, _: i64) -> Result<Option<Record>, StoreError> {
        Ok(None)
    }

    async fn take_in(&self, _: Vec<Record>) -> Result<TakenIn, StoreError> {
        Ok(TakenIn::default())
    }
}

fn clerk(fake: &Arc<Fake>, clock: &Clock) -> (Clerk, Arc<Notify>) {
    let bell = Arc::new(Notify::new());
    (Clerk::new(fake.clone(), clock.clone(), vec![bell.clone()]), bell)
}

async fn work(clerk: &Clerk, clock: &Clock) {
    while let Some(pause) = clerk.step().await.unwrap() {
        clock.advance(pause);
    }
}

fn replay(clerk: &Clerk, task: &str) -> Job {
    let select = Select { task: Some(task.to_owned()), ..Select::default() };
    clerk.begin(Verb::Replay, select, "mei".to_owned(), None).unwrap()
}

#[tokio::test]
async fn a_request_is_one_job_however_often_it_is_made() {
    let (fake, clock) = (Arc::new(Fake { count: 1234, ..Fake::default() }), Clock::manual(1000));
    let (clerk, bell) = clerk(&fake, &clock);
    let first = replay(&clerk, "t");
    assert_eq!(clerk.step().await.unwrap(), Some(Duration::ZERO));
    assert_eq!(replay(&clerk, "t").number, first.number, "while it runs");
    assert_eq!(clerk.job(first.number).unwrap().done, 500);
    let other = replay(&clerk, "u");
    assert_ne!(other.number, first.number);
    work(&clerk, &clock).await;
    for job in [&first, &other] {
        let job = clerk.job(job.number).unwrap();
        assert_eq!((job.done, job.ended), (1234, Some(1000)));
    }
    let pieces: Vec<usize> = fake.acts.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(pieces, [500, 500, 234, 500, 500, 234]);
    // The lanes were woken.
    assert!(tokio::time::timeout(Duration::from_secs(1), bell.notified()).await.is_ok());
    assert_eq!(clerk.step().await.unwrap(), None);
    assert_ne!(replay(&clerk, "t").number, first.number, "when it has ended it is another one");
    assert_eq!(clerk.job(4711), None);
}

#[tokio::test]
async fn what_is_being_worked_on_is_come_back_to_for_a_while() {
    let busy = BTreeMap::from([(3, 2), (5, u32::MAX)]);
    let fake = Arc::new(Fake { count: 6, busy: Mutex::new(busy), ..Fake::default() });
    let clock = Clock::manual(0);
    let (clerk, _) = clerk(&fake, &clock);
    let job = replay(&clerk, "t");
    work(&clerk, &clock).await;
    let job = clerk.job(job.number).unwrap();
    assert_eq!((job.done, job.busy), (5, 1));
    assert!(job.ended.is_some_and(|at| (30_000..31_000).contains(&at)), "{job:?}");
}

#[tokio::test]
async fn a_piece_that_cannot_be_written_is_tried_again() {
    let fake = Arc::new(Fake { count: 600, fails: Mutex::new(true), ..Fake::default() });
    let clock = Clock::manual(0);
    let (clerk, _) = clerk(&fake, &clock);
    let job = replay(&clerk, "t");
    assert!(clerk.step().await.is_err());
    work(&clerk, &clock).await;
    assert_eq!(clerk.job(job.number).unwrap().done, 600);
}
