//! Speed of reading and judging JSON bodies on one core, against `serde_json` with the
//! `jsonschema` crate on the same bytes and schemas; and what compiling every contract costs.
//!
//! `contract_rate PACK OVERLAYS BODIES [--quick]`; OVERLAYS is the folder of corrections, BODIES
//! holds `small.json`, `large.json` and their schemas in Draft 4. One JSON object a line.

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use mop_contract::{
    Call, Contract, ContractBuilder, Judge, Message,
    check::Checker,
    json::Reader,
    overlay::{self, Overlay},
    pack,
};
use mop_wire::{Body, Headers};
use serde_json::{Value as Tree, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [pack, overlays, bodies, ..] = arguments.as_slice() else {
        return Err("usage: contract_rate PACK OVERLAYS BODIES [--quick]".into());
    };
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let time = if quick { Duration::from_millis(200) } else { Duration::from_secs(2) };
    let contract = compile(&fs::read_to_string(pack)?, &overlays_in(Path::new(overlays))?)?;
    for (name, method, path, status) in BODIES {
        let folder = Path::new(bodies);
        let text = fs::read(folder.join(format!("{name}.json")))?;
        // The crate refuses legacy octal escapes, which mean the character itself in ECMA-262.
        let schema = fs::read_to_string(folder.join(format!("{name}.schema.json")))?;
        let schema: Tree = serde_json::from_str(&schema.replace(r"\\00", r"\\x00"))?;
        rates(&contract, name, (method, path, status), &text, &schema, time)?;
    }
    Ok(())
}

/// The corrections of a folder.
fn overlays_in(folder: &Path) -> Result<Vec<Overlay>, Box<dyn Error>> {
    let mut overlays = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            overlays.push(Overlay::parse("overlay", &fs::read_to_string(path)?)?);
        }
    }
    Ok(overlays)
}

/// Compiles the pack in both readings and says what that costs.
fn compile(text: &str, overlays: &[Overlay]) -> Result<Contract, Box<dyn Error>> {
    let baseline_kib = resident_kib()?;
    let started = Instant::now();
    let mut builder = ContractBuilder::default();
    for packed in pack::documents(text)? {
        let published = packed?.document;
        let corrected = overlay::apply(overlays, &published);
        builder.add(&published, Some(&corrected.document));
    }
    let contract = builder.build();
    println!(
        "{}",
        json!({
            "figure": "contract_compile", "documents": contract.documents().len(),
            "operations": contract.operations().len(), "schemas": contract.schemas().len(),
            "patterns": contract.schemas().pattern_count(),
            "ms": milliseconds(started.elapsed()),
            "resident_mib_over_baseline":
                round(resident_kib()?.saturating_sub(baseline_kib) as f64 / 1024.0),
        })
    );
    Ok(contract)
}

/// Reads and judges one body by every subject, interleaved, and keeps the best of each.
fn rates(
    contract: &Contract,
    name: &str,
    (method, path, status): (&str, &str, u16),
    text: &[u8],
    schema: &Tree,
    time: Duration,
) -> Result<(), Box<dyn Error>> {
    let (_, operation) = contract.route(method, path).map_err(|unrouted| unrouted.name())?;
    let response = operation.published.response(status).ok_or("no such response")?;
    let id = response.content.first().and_then(|media| media.schema).ok_or("no schema")?;
    let theirs = jsonschema::draft4::options().should_validate_formats(true).build(schema);
    let theirs = theirs.map_err(|error| format!("no schema: {}", error.schema_path()))?;
    let (mut reader, mut judge) = (Reader::default(), Judge::default());
    let mut headers = Headers::default();
    headers.push("content-type", b"application/json");
    let body = Body::whole(text.to_vec(), false);
    let call = Call {
        method,
        target: path,
        request: None,
        response: Some((status, Message { headers: &headers, body: &body })),
        incomplete: false,
    };
    let mut ours = || {
        let value = reader.read(text).expect("a body of the bench is JSON");
        Checker::new(contract.schemas(), text.len()).is_valid(id, value.root()) == Ok(true)
    };
    let mut reads = Reader::default();
    let mut read_only = || reads.read(text).is_ok();
    let mut whole = || judge.judge(contract, call, &mut ()).published.is_conforming();
    let their = || {
        let tree: Tree = serde_json::from_slice(text).expect("a body of the bench is JSON");
        theirs.is_valid(&tree)
    };
    if !(ours() && whole() && their()) {
        return Err(format!("the body {name} is not valid").into());
    }
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let round = [
            per_body(time, their),
            per_body(time, &mut ours),
            per_body(time, &mut whole),
            per_body(time, &mut read_only),
        ];
        for (best, taken) in best.iter_mut().zip(round) {
            *best = (*best).min(taken);
        }
    }
    for (subject, taken) in SUBJECTS.iter().zip(best) {
        println!(
            "{}",
            json!({
                "figure": "contract_rate", "body": name, "bytes": text.len(), "subject": subject,
                "us_per_body": round(taken.as_secs_f64() * 1e6),
                "mb_per_s": round(text.len() as f64 / taken.as_secs_f64() / 1e6),
                "ratio_to_jsonschema": round(best[0].as_secs_f64() / taken.as_secs_f64()),
            })
        );
    }
    Ok(())
}

fn per_body(time: Duration, mut work: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    let mut bodies = 0_u32;
    while started.elapsed() < time {
        for _ in 0..BATCH {
            black_box(work());
        }
        bodies += BATCH;
    }
    started.elapsed() / bodies
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn milliseconds(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1e3)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Name, and the response that the body is of.
const BODIES: [(&str, &str, &str, u16); 2] = [
    ("small", "POST", "/open-insurance/consents/v3/consents", 201),
    (
        "large",
        "GET",
        "/open-insurance/products-services/v2/auto-insurance/01001000/0010042/2020",
        200,
    ),
];

const SUBJECTS: [&str; 4] =
    ["serde_json_value_and_jsonschema", "mop_read_and_check", "mop_judge_response", "mop_read"];

/// The machine is shared: the best of several rounds is nearest to what the code costs.
const ROUNDS: usize = 3;

/// Bodies between two looks at the clock.
const BATCH: u32 = 16;
