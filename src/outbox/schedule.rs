//! When a failed callback is made again. No clock, no I/O.

use std::time::Duration;

use crate::config::{LONGEST_ASKED, RetryPolicy};

/// The pause before quick try number `n` (from 1); `seed` decides the jitter.
pub(super) fn quick_pause(policy: &RetryPolicy, n: u32, seed: u64) -> Duration {
    let grown = policy.factor.powi(i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX));
    let pause = policy.delay.as_secs_f64() * grown;
    // Not a number and too large end at the longest.
    let longest = policy.max.as_secs_f64();
    let pause = if pause < longest { pause } else { longest };
    jittered(Duration::from_secs_f64(pause), policy.jitter, seed)
}

/// A pause that is shorter or longer by up to `jitter` of itself, and by the same for the same seed.
pub(super) fn jittered(pause: Duration, jitter: f64, seed: u64) -> Duration {
    if jitter <= 0.0 {
        return pause;
    }
    // 53 bits of the seed, from -1 to 1.
    let share = (xxhash_rust::xxh3::xxh3_64(&seed.to_be_bytes()) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    pause.mul_f64((1.0 + jitter * share).max(0.0))
}

/// The pause after an answer that asks to stay away: not shorter than planned, and not longer than an hour or twice what
/// was planned, whatever a receiver says.
pub(super) fn asked(planned: Duration, retry_after: Option<Duration>) -> Duration {
    let longest = planned.saturating_mul(2).max(LONGEST_ASKED);
    retry_after.map_or(planned, |asked| asked.clamp(planned, longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Then;
    use proptest::prelude::*;

    fn policy(delay: u64, factor: f64, max: u64, jitter: f64) -> RetryPolicy {
        let (delay, max) = (Duration::from_secs(delay), Duration::from_secs(max));
        RetryPolicy { delay, factor, max, tries: 3, jitter, then: Then::Dead, on: None }
    }

    #[test]
    fn fixed_and_exponential() {
        let seconds =
            |policy: &RetryPolicy| (1..=6).map(|n| quick_pause(policy, n, 7).as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(&policy(10, 1.0, 10, 0.0)), [10, 10, 10, 10, 10, 10]);
        assert_eq!(seconds(&policy(5, 2.0, 60, 0.0)), [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_receiver_may_ask_for_an_hour_and_no_more() {
        let s = Duration::from_secs;
        for (planned, said, pause) in [
            (10, None, 10),
            (10, Some(5), 10),
            (10, Some(120), 120),
            (10, Some(86_400), 3600),
            (3000, Some(86_400), 6000),
        ] {
            assert_eq!(asked(s(planned), said.map(s)), s(pause), "{planned} {said:?}");
        }
    }

    proptest! {
        #[test]
        fn pauses_stay_in_their_bounds(
            delay in 1_u64..1000, factor in 1.0..100.0_f64, more in 0_u64..100_000, jitter in 0.0..=1.0_f64,
            n in 1_u32..10_000, seed: u64,
        ) {
            let policy = policy(delay, factor, delay + more, jitter);
            let pause = quick_pause(&policy, n, seed).as_secs_f64();
            let longest = (delay + more) as f64;
            prop_assert!(pause <= longest * (1.0 + jitter) + 1e-6);
            prop_assert!(pause >= delay as f64 * (1.0 - jitter) - 1e-6);
            prop_assert_eq!(quick_pause(&policy, n, seed), quick_pause(&policy, n, seed));
        }
    }
}
