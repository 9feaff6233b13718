//! What most tests check, with an error that shows the exchange.

use anyhow::{Result, bail, ensure};

use crate::{Body, Exchange, Message, Observation};

/// The exchange is complete by its certificate.
pub fn complete(exchange: &Exchange) -> Result<()> {
    ensure!(
        exchange.complete() && matches!(exchange.ending(), "complete" | "upgraded"),
        "not complete: {}",
        exchange.record()
    );
    Ok(())
}

/// There are so many exchanges, and each is complete; where MOP lost something, and counted it, as many
/// may be missing or say that they are not complete as that explains.
pub fn accounted(exchanges: &[Exchange], count: usize, observation: &Observation) -> Result<()> {
    let lost = observation.lost();
    ensure!(
        exchanges.len() == count || (exchanges.len() < count && lost > 0),
        "{} of {count} exchanges, {lost} losses: {}",
        exchanges.len(),
        observation.summary
    );
    let whole = exchanges.iter().filter(|exchange| exchange.complete()).count() as u64;
    let unexplained = (count as u64).saturating_sub(whole + lost.saturating_mul(MOST_OF_A_LOSS));
    ensure!(unexplained == 0, "{lost} losses do not explain {whole} of {count} whole exchanges");
    for exchange in exchanges {
        if lost == 0 {
            complete(exchange)?;
        } else {
            let is_sure = exchange.complete() || !matches!(exchange.ending(), "response_cut");
            ensure!(
                is_sure,
                "said to be without an answer: {}, {}",
                exchange.record(),
                observation.summary
            );
        }
    }
    Ok(())
}

/// The exchange that a segment is of, and those that cannot be paired before the connection was quiet
/// once and the proof of that has come.
const MOST_OF_A_LOSS: u64 = 4;

/// The message carried exactly this body, and MOP saw every byte of it.
pub fn carried(exchange: &Exchange, message: Message<'_>, body: &Body) -> Result<()> {
    complete(exchange)?;
    ensure!(
        message.body_bytes() == body.bytes && message.missing_bytes() == 0,
        "{} bytes of which {} are missing, expected {}: {}",
        message.body_bytes(),
        message.missing_bytes(),
        body.bytes,
        exchange.record()
    );
    // A message without content may come without a digest.
    let digest_is_right =
        message.sha256() == body.sha256 || (body.bytes == 0 && message.sha256().is_empty());
    ensure!(
        digest_is_right,
        "digest {} instead of {}: {}",
        message.sha256(),
        body.sha256,
        exchange.record()
    );
    Ok(())
}

/// Exactly one exchange was seen at each of these views, given as `role/layer`, and no other.
pub fn seen_at<'a>(exchanges: &'a [Exchange], views: &[&str]) -> Result<Vec<&'a Exchange>> {
    let view = |exchange: &Exchange| format!("{}/{}", exchange.role(), exchange.layer());
    let mut found: Vec<&Exchange> = Vec::new();
    for wanted in views {
        let here: Vec<&Exchange> =
            exchanges.iter().filter(|exchange| view(exchange) == *wanted).collect();
        match here.as_slice() {
            [one] => found.push(one),
            other => bail!("{} exchanges at {wanted}, expected one: {exchanges:#?}", other.len()),
        }
    }
    ensure!(found.len() == exchanges.len(), "more exchanges than views: {exchanges:#?}");
    Ok(found)
}
