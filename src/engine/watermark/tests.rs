use super::*;

fn at_micros(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

#[test]
fn it_is_the_least_of_the_partitions_and_never_goes_back() {
    let mut w = Watermark::new(TimeDelta::from_micros(10), None);
    let a = w.partition("topic".into(), Some("0".into()), Instant::EPOCH);
    let seen = |w: &mut Watermark, place, at| {
        w.observe(place, at, Instant::EPOCH);
        w.at().unwrap()
    };
    assert_eq!(seen(&mut w, a, at_micros(100)), at_micros(90));
    assert_eq!(seen(&mut w, a, at_micros(50)), at_micros(90));
    let b = w.partition("topic".into(), Some("1".into()), Instant::EPOCH);
    assert_eq!(seen(&mut w, b, at_micros(40)), at_micros(90));
    assert_eq!(seen(&mut w, a, at_micros(200)), at_micros(90));
    assert_eq!(seen(&mut w, b, at_micros(150)), at_micros(140));
    assert_eq!(w.end(), Some(at_micros(200)));
    let saved = w.save();
    assert_eq!(
        Watermark::new(TimeDelta::from_micros(10), None).restore(&saved, Instant::EPOCH).save(),
        saved
    );
}

#[test]
fn an_idle_partition_moves_with_the_clock() {
    let mut w = Watermark::new(TimeDelta::from_micros(10), None);
    let a = w.partition("a".into(), None, Instant::EPOCH);
    let b = w.partition("b".into(), None, Instant::EPOCH);
    w.observe(b, at_micros(500), at_micros(500));
    w.observe(a, at_micros(1000), at_micros(1000));
    assert_eq!(w.at(), Some(at_micros(490)));
    assert_eq!(w.pass_time(at_micros(1400), TimeDelta::from_micros(600)), Some(at_micros(990)));
    assert_eq!(w.pass_time(at_micros(2000), TimeDelta::from_micros(600)), Some(at_micros(1990)));
}

#[test]
fn a_source_that_brings_a_history_waits_however_long_it_pauses() {
    let waiting = BTreeSet::from([String::from("history")]);
    let mut w = Watermark::new(TimeDelta::from_micros(10), None).waiting_for(&waiting);
    let a = w.partition("history".into(), None, Instant::EPOCH);
    w.observe(a, at_micros(500), at_micros(500));
    assert_eq!(w.pass_time(at_micros(1_000_000), TimeDelta::from_micros(600)), Some(at_micros(490)));
    // So it is after a start, and another source alone moves nothing.
    let mut w = Watermark::new(TimeDelta::from_micros(10), None)
        .restore(&w.save(), Instant::EPOCH)
        .waiting_for(&waiting);
    let b = w.partition("live".into(), None, Instant::EPOCH);
    w.observe(b, at_micros(900_000), at_micros(0));
    assert_eq!(w.pass_time(at_micros(2_000_000), TimeDelta::from_micros(600)), Some(at_micros(490)));
    let mut w = Watermark::new(TimeDelta::from_micros(10), None).restore(&w.save(), Instant::EPOCH);
    assert_eq!(
        w.pass_time(at_micros(2_000_000), TimeDelta::from_micros(600)),
        Some(at_micros(1_999_990)),
        "without the flag they move"
    );
}

const DAY: i64 = 86_400_000_000;

fn marks(times: &[i64]) -> Watermark {
    let mut w = Watermark::new(TimeDelta::ZERO, Some(TimeDelta::from_micros(DAY)));
    let place = w.partition("feed".into(), None, Instant::EPOCH);
    times.iter().for_each(|at| w.observe(place, at_micros(*at), Instant::EPOCH));
    w
}

#[test]
fn a_far_event_waits_for_a_second_one() {
    let w = marks(&[0, 1, 9000 * DAY]);
    assert_eq!([w.at(), w.settled(), w.latest()], [1, 1, 1].map(|micros| Some(at_micros(micros))));
    // What comes after it goes on as if it were not there.
    let w = marks(&[0, 1, 9000 * DAY, 2]);
    assert_eq!([w.at(), w.settled()], [2, 2].map(|micros| Some(at_micros(micros))));
    let w = marks(&[0, 1, 9000 * DAY, 9000 * DAY + 5]);
    assert_eq!([w.at(), w.settled()], [9000 * DAY + 5, 9000 * DAY].map(|micros| Some(at_micros(micros))));
    // Within a day schedules go on at once, windows wait all the same.
    let w = marks(&[0, 1, DAY]);
    assert_eq!([w.at(), w.settled()], [DAY, 1].map(|micros| Some(at_micros(micros))));
}

#[test]
fn the_start_is_that_of_the_stream() {
    assert_eq!(marks(&[5]).ticked(), Some(at_micros(5)));
    assert_eq!(marks(&[0, 9000 * DAY, 9000 * DAY + 1]).ticked(), Some(at_micros(9000 * DAY + 1)));
    assert_eq!(marks(&[9000 * DAY, 0, 1]).ticked(), Some(at_micros(1)));
    assert_eq!(marks(&[0, 60 * DAY]).ticked(), Some(at_micros(0)));
}

#[test]
fn the_end_believes_what_came_last() {
    assert_eq!(marks(&[0, 1, 60 * DAY]).end(), Some(at_micros(60 * DAY)));
    assert_eq!(marks(&[0, 1, 60 * DAY, 2]).end(), Some(at_micros(2)));
    assert_eq!(marks(&[0, 1, 9000 * DAY]).end(), Some(at_micros(1)));
    assert_eq!(marks(&[7 * DAY]).end(), Some(at_micros(7 * DAY)));
}

#[test]
fn what_waits_is_stored() {
    for times in [&[3][..], &[0, 9000 * DAY], &[0, 1, 9000 * DAY, 2]] {
        let whole = marks(times);
        for cut in 0..times.len() {
            let mut w = Watermark::new(TimeDelta::ZERO, Some(TimeDelta::from_micros(DAY)))
                .restore(&marks(&times[..cut]).save(), Instant::EPOCH);
            let place = w.partition("feed".into(), None, Instant::EPOCH);
            times[cut..].iter().for_each(|at| w.observe(place, at_micros(*at), Instant::EPOCH));
            assert_eq!(w.save(), whole.save(), "{times:?} cut at {cut}");
        }
    }
}

#[test]
fn a_partition_of_one_event_holds_back_and_moves_nothing() {
    let mut w = Watermark::new(TimeDelta::ZERO, Some(TimeDelta::from_micros(DAY)));
    let (a, b) = (
        w.partition("t".into(), Some("0".into()), Instant::EPOCH),
        w.partition("t".into(), Some("1".into()), Instant::EPOCH),
    );
    w.observe(b, at_micros(4), at_micros(0));
    [10, 20, 30].iter().for_each(|at| w.observe(a, at_micros(*at), Instant::EPOCH));
    assert_eq!(w.at(), Some(at_micros(4)));
    w.observe(b, at_micros(25), at_micros(0));
    assert_eq!([w.at(), w.settled()], [25, 4].map(|micros| Some(at_micros(micros))));
}
