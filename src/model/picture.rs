//! Images in a request, in each dialect's words.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::{Value, json};

use super::Message;

/// An image as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    media: &'static str,
    detail: &'static str,
    base64: Arc<str>,
}

impl std::fmt::Debug for Picture {
    /// Without its content, which is long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("media", &self.media)
            .finish_non_exhaustive()
    }
}

impl Picture {
    /// An image of the media type `media`, of which the model is to look at `detail` ("high" or
    /// "low"; only OpenAI's dialect says so).
    pub fn new(media: &'static str, detail: &'static str, bytes: &[u8]) -> Self {
        Self {
            media,
            detail,
            base64: base64(bytes).into(),
        }
    }

    /// A part of a message in OpenAI's dialect.
    fn as_part(&self) -> Value {
        let Self {
            media,
            detail,
            base64,
        } = self;
        json!({
            "type": "image_url",
            "image_url": {"url": format!("data:{media};base64,{base64}"), "detail": detail},
        })
    }

    /// A block of a message in Anthropic's dialect.
    fn as_block(&self) -> Value {
        json!({
            "type": "image",
            "source": {"type": "base64", "media_type": self.media, "data": &*self.base64},
        })
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        message(self, Picture::as_part, serializer)
    }
}

/// A message in Anthropic's dialect, which differs where there are images.
pub(super) struct Blocks<'a>(pub(super) &'a Message);

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        message(self.0, Picture::as_block, serializer)
    }
}

/// Text alone stays a string: not every server takes a list.
fn message<S: Serializer>(
    message: &Message,
    shown: fn(&Picture) -> Value,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Message", 2)?;
    fields.serialize_field("role", &message.role)?;
    if message.pictures.is_empty() {
        fields.serialize_field("content", &message.content)?;
    } else {
        let mut parts: Vec<Value> = message.pictures.iter().map(shown).collect();
        parts.push(json!({"type": "text", "text": message.content}));
        fields.serialize_field("content", &parts)?;
    }
    fields.end()
}

/// RFC 4648's base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            let is_padding = place > three.len();
            text.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn each_dialect_has_its_own_words_for_images_and_the_same_for_text() {
        let mut said = Message::new(Role::User, "look");
        let text = json!({"role": "user", "content": "look"});
        assert_eq!(serde_json::to_value(&said).unwrap(), text);
        assert_eq!(serde_json::to_value(Blocks(&said)).unwrap(), text);
        said.pictures.push(Picture::new("image/png", "low", b"foo"));
        let parts = json!({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,Zm9v", "detail": "low"}},
            {"type": "text", "text": "look"},
        ]});
        assert_eq!(serde_json::to_value(&said).unwrap(), parts);
        let blocks = json!({"role": "user", "content": [
            {"type": "image", "source":
                {"type": "base64", "media_type": "image/png", "data": "Zm9v"}},
            {"type": "text", "text": "look"},
        ]});
        assert_eq!(serde_json::to_value(Blocks(&said)).unwrap(), blocks);
    }
}
