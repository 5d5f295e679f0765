//! Work per event is bounded, however many requests wait.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::support::crowd::Crowd;

/// The longest that one call may take. One callback of the module is a few of these calls.
const LONGEST: Duration = Duration::from_millis(10);

/// The processor time of this thread: other processes may run as well.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// How often each event is timed. The median counts.
const TIMES: usize = 101;

fn median(mut event: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let begun = processor_time();
            event();
            processor_time() - begun
        })
        .collect();
    times.sort_unstable();
    times[TIMES / 2]
}

/// The median of each event among so many waiting requests.
fn costs(waiting: u32) -> [(&'static str, Duration); 5] {
    let mut crowd = Crowd::of(waiting);
    let costs = [
        (
            "a request arrives and leaves",
            median(|| {
                let id = crowd.arrives();
                crowd.leaves(id);
            }),
        ),
        ("a key is unknown", {
            // Each needs a callout; the bucket lets a new one through every 10 ms.
            let mut times = Vec::new();
            for _ in 0..TIMES {
                crowd.pass(Duration::from_millis(11));
                crowd.ticks();
                let begun = processor_time();
                crowd.answered();
                times.push(processor_time() - begun);
                crowd.arrives();
            }
            times.sort_unstable();
            times[TIMES / 2]
        }),
        ("a piece of a body", {
            let id = crowd.arrives();
            median(|| crowd.piece(id))
        }),
        ("the timer rings", median(|| crowd.ticks())),
        ("nothing is due", median(|| assert!(!crowd.polled()))),
    ];
    assert!(crowd.waiting() >= waiting as usize);
    costs
}

#[test]
fn attack_76_an_event_costs_the_same_however_many_requests_wait() {
    let (few, many) = (costs(10), costs(90_000));
    for ((event, few), (_, many)) in few.into_iter().zip(many) {
        println!("{event}: {few:?} among 10, {many:?} among 90 000");
        assert!(many < few * 20 + Duration::from_micros(50), "{event}: {few:?} among 10, {many:?} among 90 000");
        assert!(many < LONGEST, "{event}: {many:?}");
    }
}

#[test]
fn attack_76_what_ends_for_all_at_once_ends_in_pieces() {
    let mut crowd = Crowd::of(20_000);
    crowd.pass(Duration::from_secs(61));
    let (mut pieces, mut longest) = (0, Duration::ZERO);
    loop {
        let begun = processor_time();
        let more = crowd.polled();
        longest = longest.max(processor_time() - begun);
        if !more {
            break;
        }
        pieces += 1;
    }
    // The burst of 200 was sent to the key service, which has not answered.
    assert_eq!(crowd.waiting(), 200);
    assert_eq!(pieces, 2 * 19_800, "an end of a fetch and a denial for each request");
    assert!(longest < LONGEST, "{longest:?}");
}
