//! Replies as servers of three kinds send them.

/// A text in chunks of three characters, as LiteLLM cuts it: fences arrive in pieces.
pub(super) fn fences() -> String {
    let text = "I add a file.\n\n```rust path=src/new.rs\nfn main() { /* ß漢😀 */ }\n```\nDone.\n";
    let characters: Vec<char> = text.chars().collect();
    let pieces = characters.chunks(3).map(|piece| {
        let piece: String = piece.iter().collect();
        let chunk = serde_json::json!({
            "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}],
        });
        format!("data: {chunk}\n\n")
    });
    let stream: String = pieces.collect();
    let stream = ": OPENROUTER PROCESSING\n\n".to_owned() + &stream;
    stream
        + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":31,\"completion_tokens\":17}}\n\n\
        data: [DONE]\n\n"
}

/// What [`fences`] says.
pub(super) const FENCES_TEXT: &str =
    "I add a file.\n\n```rust path=src/new.rs\nfn main() { /* ß漢😀 */ }\n```\nDone.\n";

/// Anthropic's events, with thinking before the text.
pub(super) const ANTHROPIC: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n\
    event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"role\":\"assistant\",\
    \"content\":[],\"usage\":{\"input_tokens\":0,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
    \"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm ß.\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: content_block_delta\ndata: {\"index\":1,\"delta\":{\"text\":\"One 漢 \",\"type\":\"text_delta\"},\
    \"type\":\"content_block_delta\"}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"two.\\n\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
    \"usage\":{\"input_tokens\":8,\"output_tokens\":5}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// What [`ANTHROPIC`] says.
pub(super) const ANTHROPIC_TEXT: &str = "One 漢 two.\n";

/// Usage on every chunk, the last text in the chunk that ends, CRLF, no blank after `data:`.
pub(super) const ODD_USAGE: &str = "\u{feff}data:{\"choices\":null,\"usage\":{\"prompt_tokens\":31,\
    \"completion_tokens\":0}}\r\n\r\n\
    data:{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\r\n\r\n\
    data:{\"usage\":{\"prompt_tokens\":31,\"completion_tokens\":1},\r\n\
    data:\"choices\":[{\"delta\":{\"content\":\"first \"}}]}\r\n\r\n\
    :\r\n\r\n\
    data:{\"choices\":[{\"delta\":{\"content\":\"last ß\"},\"finish_reason\":\"stop\"}],\
    \"usage\":{\"prompt_tokens\":31,\"completion_tokens\":17}}\r\n\r\n\
    data:[DONE]\r\n\r\n";

/// What [`ODD_USAGE`] says.
pub(super) const ODD_TEXT: &str = "first last ß";
