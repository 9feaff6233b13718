//! What came back, and when a call was over, as far as it was seen.

use mop_wire::{Ending, Exchange, Role};

use super::{Answer, Span};

/// The answer, the time of the call, and whether its end is that of the answer.
pub(crate) fn read(
    exchange: &Exchange,
    connection_end_ns: Option<u64>,
    shortest_time_out_ms: u64,
) -> (Answer, Span, bool) {
    let timing = &exchange.timing;
    let completeness = &exchange.completeness;
    let start_ns = timing.request_start_ns;
    let span = |end_ns: u64| Span { start_ns, end_ns: end_ns.max(start_ns) };
    if let Some(response) = exchange.response.as_ref().filter(|it| it.status != 0) {
        let is_exact = timing.response_end_ns != 0
            && matches!(completeness.ending, Ending::Complete | Ending::Upgraded);
        let end_ns = timing.response_end_ns.max(timing.response_start_ns);
        return (Answer::Status(response.status), span(end_ns), is_exact);
    }
    let is_unanswered = exchange.role == Role::Client
        && completeness.ending == Ending::ResponseCut
        && completeness.request.missing_bytes == 0
        && completeness.response.framed_bytes == 0
        && completeness.response.missing_bytes == 0;
    match connection_end_ns {
        Some(end_ns) if is_unanswered => {
            let waited = span(end_ns);
            if waited.duration_ms() >= shortest_time_out_ms {
                (Answer::TimedOut, waited, true)
            } else {
                (Answer::Unseen, waited, true)
            }
        }
        _ => (Answer::Unseen, span(timing.request_end_ns), false),
    }
}
