//! Series made up to be like those that operations bring forth: processors, network, requests,
//! traffic, counts of messages, prices; with anomalies at known places, and with the spikes and
//! gaps that are none.

use super::{
    Random,
    scorer::{Labelled, probation},
};

/// An anomaly: which one of the series, and how many values ago it began.
type Anomaly = Option<(usize, usize)>;

/// The frame of a series: how many values, how many seconds apart, how many anomalies.
struct Frame {
    length: usize,
    interval: i64,
    anomalies: usize,
}

/// One of each kind and variant.
pub(crate) fn synthetic_series(seed: u64) -> Vec<Labelled> {
    let random = &mut Random::new(seed);
    let mut all = Vec::new();
    for variant in 0..3 {
        all.push(messages(variant, random));
        all.push(speed(variant, random));
        all.push(occupancy(variant, random));
    }
    for variant in 0..5 {
        all.push(processor(variant, random));
        all.push(price(variant, random));
    }
    for variant in 0..4 {
        all.push(network(variant, random));
    }
    for variant in 0..2 {
        all.push(requests(variant, random));
    }
    all.extend(without_anomalies(random));
    all
}

fn messages(variant: usize, random: &mut Random) -> Labelled {
    let base = 3.0 + random.unit() * 60.0;
    let (mut burst, mut slow) = (0.0, 0.0_f64);
    let frame = Frame { length: 15_800, interval: 300, anomalies: 3 + variant % 2 };
    make(format!("messages {variant}"), &frame, random, |_, time, random, anomaly| {
        slow = 0.999 * slow + 0.02 * random.normal();
        if random.chance(0.0015) {
            burst += base * (random.pareto(2.0) - 0.5);
        }
        if let Some((number, 0)) = anomaly {
            burst += base * (4.0 + 6.0 * random.exponential() + number as f64);
        }
        burst *= 0.75;
        let cycle = 1.0 + 0.5 * (day(time) - 2.0).sin();
        let mean = base * cycle * (slow.min(1.0) * 0.5).exp() * random.log_normal(0.35) + burst;
        Some(random.poisson(mean))
    })
}

fn processor(variant: usize, random: &mut Random) -> Labelled {
    let (base, noise) =
        [(0.12, 0.01), (2.0, 0.1), (40.0, 2.0), (14.0, 1.0), (5.0, 0.5)][variant % 5];
    let mut shifted = 0.0;
    let frame = Frame { length: 4032, interval: 300, anomalies: 1 + variant % 2 };
    make(format!("processor {variant}"), &frame, random, |_, time, random, anomaly| {
        let mut value = base + noise * random.normal();
        if variant == 3 {
            value += noise * 2.0 * day(time).sin();
        }
        if random.chance(0.01) {
            value += noise * random.exponential() * 15.0;
        }
        match anomaly.map(|(number, at)| ((number + variant) % 3, at)) {
            Some((0, 0)) => shifted += noise * 4.0 * (1.0 + random.unit()),
            Some((1, ..3)) => value += noise * 60.0 * (0.7 + random.unit()),
            Some((2, ..120)) => value += noise * 5.0 * random.normal().abs(),
            _ => {}
        }
        Some(((value + shifted).clamp(0.0, 100.0) * 1000.0).round() / 1000.0)
    })
}

fn network(variant: usize, random: &mut Random) -> Labelled {
    let chance = [0.02, 0.1, 0.3, 0.05][variant % 4];
    let mut busy = 0;
    let frame = Frame { length: 4400, interval: 300, anomalies: 2 };
    make(format!("network {variant}"), &frame, random, |at, _, random, anomaly| {
        let mut value =
            if variant.is_multiple_of(2) { 0.0 } else { 40.0 + 5.0 * random.normal().abs() };
        if random.chance(chance * 0.5) || (variant == 2 && at % 12 == 0) {
            busy = 1 + (random.unit() * 3.0) as usize;
        }
        if busy > 0 {
            busy -= 1;
            value += 1e6 * random.log_normal(0.5);
        }
        match anomaly.map(|(number, at)| ((number + variant) % 2, at)) {
            Some((0, ..2)) => value += 8e6 * (1.0 + random.unit()),
            Some((1, ..60)) if random.chance(0.7) => value += 1e6 * random.log_normal(0.5),
            _ => {}
        }
        Some(value.round())
    })
}

fn requests(variant: usize, random: &mut Random) -> Labelled {
    let frame = Frame { length: 4032, interval: 300, anomalies: 2 };
    make(format!("requests {variant}"), &frame, random, |_, time, random, anomaly| {
        let mut mean = 60.0 * (1.0 + 0.8 * (day(time) - 1.0).sin()) * random.log_normal(0.4);
        if random.chance(0.004) {
            mean *= 3.0;
        }
        match anomaly.map(|(number, at)| ((number + variant) % 2, at)) {
            Some((0, ..6)) => mean = mean * 4.0 + 150.0,
            Some((1, ..70)) => mean *= 0.1,
            _ => {}
        }
        Some(random.poisson(mean))
    })
}

fn speed(variant: usize, random: &mut Random) -> Labelled {
    let frame = Frame { length: 2500, interval: 600, anomalies: 2 + variant % 2 };
    make(format!("speed {variant}"), &frame, random, |at, time, random, anomaly| {
        if at / 37 % 9 == 4 && variant != 0 {
            return None;
        }
        let mut value = 70.0 + 4.0 * random.normal();
        if (16.0..18.5).contains(&hour(time)) && random.chance(0.6) {
            value -= 25.0 * random.unit();
        }
        if random.chance(0.01) {
            value -= 20.0 * random.unit();
        }
        match anomaly {
            Some((_, ..8)) => value -= 35.0 + 10.0 * random.unit(),
            Some((number, ..40)) if number % 2 == 0 => value -= 8.0,
            _ => {}
        }
        Some(value.max(3.0).round())
    })
}

fn occupancy(variant: usize, random: &mut Random) -> Labelled {
    let mut jam = 0.0;
    let frame = Frame { length: 2400, interval: 600, anomalies: 2 + variant % 2 };
    make(format!("occupancy {variant}"), &frame, random, |at, time, random, anomaly| {
        if at / 51 % 7 == 3 {
            return None;
        }
        let cycle = if (6.0..20.0).contains(&hour(time)) { 1.0 } else { 0.25 };
        if random.chance(0.01) {
            jam += 8.0 * random.exponential();
        }
        jam *= 0.8;
        let mut value = cycle * 6.0 * random.log_normal(0.35) + jam;
        match anomaly.map(|(number, at)| (number % 2, at)) {
            Some((0, ..4)) => value += 30.0 + 10.0 * random.unit(),
            Some((1, ..30)) => value += 8.0,
            _ => {}
        }
        Some((value * 100.0).round() / 100.0)
    })
}

fn price(variant: usize, random: &mut Random) -> Labelled {
    let base = [0.1, 0.5, 0.3, 0.1, 0.8][variant % 5];
    let mut factor = 1.0;
    let frame = Frame { length: 1630, interval: 3600, anomalies: 1 + variant % 3 };
    make(format!("price {variant}"), &frame, random, |_, time, random, anomaly| {
        let mut value = base * factor * (1.0 + 0.2 * day(time).sin()) * random.log_normal(0.25);
        if random.chance(0.01) {
            value *= 1.0 + random.pareto(1.5);
        }
        match anomaly.map(|(number, at)| ((number + variant) % 3, at)) {
            Some((0 | 1, ..2)) => value = base * (6.0 + 8.0 * random.unit()),
            Some((2, 0)) => factor *= 2.2,
            _ => {}
        }
        Some(value)
    })
}

fn without_anomalies(random: &mut Random) -> Vec<Labelled> {
    let frame = Frame { length: 4032, interval: 300, anomalies: 0 };
    let office = |time| (9.0..18.0).contains(&hour(time));
    vec![
        make("constant".into(), &frame, random, |_, _, _, _| Some(45.0)),
        make("noise".into(), &frame, random, |_, _, random, _| {
            let factor = if random.chance(0.05) { 4.0 } else { 1.0 };
            Some(18.0 + 6.0 * random.unit() * factor)
        }),
        make("square".into(), &frame, random, |_, time, _, _| {
            Some(if office(time) { 80.0 } else { 20.0 })
        }),
        make("daily".into(), &frame, random, |_, time, random, _| {
            let (base, noise) = if office(time) { (80.0, 5.0) } else { (20.0, 1.0) };
            Some(base + noise * random.unit())
        }),
    ]
}

/// Windows are a tenth of the series together and have their anomaly in the middle.
fn make(
    name: String,
    frame: &Frame,
    random: &mut Random,
    mut value: impl FnMut(usize, i64, &mut Random, Anomaly) -> Option<f64>,
) -> Labelled {
    let length = frame.length;
    let width = (0.1 * length as f64) as usize / frame.anomalies.max(1);
    let (first, room) = (probation(length) + width / 2, length - probation(length) - 2 * width);
    let mut begins: Vec<usize> = Vec::new();
    while begins.len() < frame.anomalies {
        let begin = first + (random.unit() * room as f64) as usize;
        if begins.iter().all(|other| other.abs_diff(begin) > 2 * width) {
            begins.push(begin);
        }
    }
    begins.sort_unstable();
    let (mut times, mut values, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..length {
        let anomaly = begins.iter().position(|begin| (*begin..begin + width / 2).contains(&at));
        let anomaly = anomaly.map(|number| (number, at - begins[number]));
        let time = 1_400_000_000 + at as i64 * frame.interval;
        if let Some(value) = value(at, time, random, anomaly) {
            times.push(time);
            values.push(value);
            positions.push(at);
        }
    }
    let position = |at: usize| positions.partition_point(|other| *other < at);
    let last = values.len() - 1;
    let windows = begins
        .iter()
        .map(|begin| position(begin - width / 2)..=position(begin + width / 2).min(last))
        .collect();
    Labelled { name, times, values, windows }
}

fn day(time: i64) -> f64 {
    hour(time) / 24.0 * std::f64::consts::TAU
}

fn hour(time: i64) -> f64 {
    time.rem_euclid(86_400) as f64 / 3600.0
}
