//! Frames, one at a time.

use mop_wire::http2::frame::{
    FrameError, FrameHead, INITIAL_MAX_FRAME_BYTES, Payload, Prefix, Priority, Setting,
};
use serde_json::{Value, json};

use crate::cases::{bytes, documents};

#[test]
fn published_frames_are_read_as_they_are_described() {
    for (name, case) in documents("frames", "published_frames_are_read_as_they_are_described") {
        let wire = bytes(case["wire"].as_str().unwrap());
        match read(&wire) {
            Ok(frame) => assert_eq!(frame, case["frame"], "{name}"),
            Err(error) => {
                let codes = case["error"].as_array().unwrap_or_else(|| panic!("{name}: {error}"));
                assert!(codes.contains(&json!(error.code().0)), "{name}: {error}");
            }
        }
    }
}

/// A frame as the cases describe it.
fn read(wire: &[u8]) -> Result<Value, FrameError> {
    let (head, payload) = FrameHead::split(wire).unwrap();
    head.check(INITIAL_MAX_FRAME_BYTES)?;
    let prefix = Prefix::parse(&head, payload)?;
    let parsed = Payload::parse(&head, payload)?;
    let padding = payload.get(payload.len() - usize::from(prefix.padding_bytes)..).unwrap();
    let padding_length = head.is_padded().then_some(prefix.padding_bytes);
    let padding = head.is_padded().then(|| text(padding));
    let frame_payload = match parsed {
        Payload::Data { content } => json!({
            "data": text(content), "padding_length": padding_length, "padding": padding,
        }),
        Payload::Headers { priority, fragment } => json!({
            "header_block_fragment": text(fragment),
            "stream_dependency": priority.map(|priority| priority.dependency.number()),
            "exclusive": priority.map(|priority| priority.is_exclusive),
            "weight": priority.map(|priority| priority.weight),
            "padding_length": padding_length, "padding": padding,
        }),
        Payload::Priority(Priority { dependency, is_exclusive, weight }) => json!({
            "stream_dependency": dependency.number(), "exclusive": is_exclusive,
            "weight": weight, "padding_length": null, "padding": null,
        }),
        Payload::ResetStream(code) => json!({ "error_code": code.0 }),
        Payload::Settings(settings) => json!({
            "settings": settings.iter().map(setting).collect::<Result<Vec<_>, _>>()?,
        }),
        Payload::PushPromise { promised, fragment } => json!({
            "header_block_fragment": text(fragment), "promised_stream_id": promised.number(),
            "padding_length": padding_length, "padding": padding,
        }),
        Payload::Ping(opaque) => json!({ "opaque_data": text(&opaque) }),
        Payload::GoAway { last_stream, code, debug_data } => json!({
            "last_stream_id": last_stream.number(), "error_code": code.0,
            "additional_debug_data": text(debug_data),
        }),
        Payload::WindowUpdate(bytes) => json!({ "window_size_increment": bytes }),
        Payload::Continuation { fragment } => json!({ "header_block_fragment": text(fragment) }),
        Payload::Unknown => json!({}),
    };
    let kind = wire[3];
    Ok(json!({
        "length": head.payload_bytes, "type": kind, "flags": head.flags.0,
        "stream_identifier": head.stream.number(), "frame_payload": frame_payload,
    }))
}

fn setting(setting: Result<Setting, FrameError>) -> Result<Value, FrameError> {
    Ok(match setting? {
        Setting::HeaderTableSize(value) => json!([1, value]),
        Setting::EnablePush(value) => json!([2, u32::from(value)]),
        Setting::MaxConcurrentStreams(value) => json!([3, value]),
        Setting::InitialWindowSize(value) => json!([4, value]),
        Setting::MaxFrameSize(value) => json!([5, value]),
        Setting::MaxHeaderListSize(value) => json!([6, value]),
        Setting::Unknown { identifier, value } => json!([identifier, value]),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
