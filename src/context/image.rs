//! Images: what they are by their first bytes, how large, and what they cost.

use super::Detail;

/// An image as its own bytes describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// The media type: "image/png", "image/jpeg", "image/webp", "image/gif".
    pub media: &'static str,
    /// In pixels; 0 if the file does not tell.
    pub width: u32,
    /// In pixels; 0 if the file does not tell.
    pub height: u32,
}

/// How a model counts an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// OpenAI's: by tiles of 512 pixels, after it was made smaller.
    Tiles,
    /// Anthropic's: by area.
    Area,
}

/// The tokens of any image for OpenAI's models, and of a small version of it.
const BASE: u64 = 85;
const TILE: u64 = 170;
const TILE_PIXELS: u64 = 512;
/// An image is fitted into a square of so many pixels, then its shorter side into so many.
const LONG_SIDE: f64 = 2048.0;
const SHORT_SIDE: f64 = 768.0;
/// Anthropic's longest side, and the pixels that are a token there.
const AREA_SIDE: f64 = 1568.0;
const PIXELS_A_TOKEN: u64 = 750;

impl Image {
    /// Knows an image by its magic; `None` if it is none that models take.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let of = |media, size: Option<(u32, u32)>| {
            let (width, height) = size.unwrap_or_default();
            Some(Self {
                media,
                width,
                height,
            })
        };
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => of("image/png", png(bytes)),
            [0xff, 0xd8, 0xff, ..] => of("image/jpeg", jpeg(bytes)),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => of("image/gif", gif(bytes)),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => of("image/webp", webp(bytes)),
            _ => None,
        }
    }

    /// The tokens that a model counts for it, as far as is known.
    pub fn tokens(&self, detail: Detail, counting: Counting) -> u64 {
        // Of unknown size: as large as it is ever looked at.
        let known = |side: u32, otherwise: f64| match side {
            0 => otherwise,
            side => f64::from(side),
        };
        match (counting, detail) {
            (Counting::Tiles, Detail::Low) => BASE,
            (Counting::Tiles, Detail::High) => {
                let (width, height) =
                    (known(self.width, LONG_SIDE), known(self.height, SHORT_SIDE));
                let (width, height) = fitted(width, height, LONG_SIDE / width.max(height));
                let (width, height) = fitted(width, height, SHORT_SIDE / width.min(height));
                let tiles = |side: f64| whole(side).div_ceil(TILE_PIXELS);
                BASE + TILE * tiles(width) * tiles(height)
            }
            (Counting::Area, _) => {
                let (width, height) = (known(self.width, AREA_SIDE), known(self.height, AREA_SIDE));
                let (width, height) = fitted(width, height, AREA_SIDE / width.max(height));
                (whole(width) * whole(height)).div_ceil(PIXELS_A_TOKEN)
            }
        }
    }
}

/// Made smaller by `scale`, never larger.
fn fitted(width: f64, height: f64, scale: f64) -> (f64, f64) {
    let scale = scale.min(1.0);
    (width * scale, height * scale)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a side is between 0 and 2048"
)]
fn whole(side: f64) -> u64 {
    side.round() as u64
}

fn at<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..start.checked_add(N)?)?.try_into().ok()
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |start| Some(u32::from_be_bytes(at(bytes, start)?));
    Some((side(16)?, side(20)?))
}

fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |start| Some(u32::from(u16::from_le_bytes(at(bytes, start)?)));
    Some((side(6)?, side(8)?))
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let kind: [u8; 4] = at(bytes, 12)?;
    match &kind {
        b"VP8X" => {
            let side = |start| {
                let [low, middle, high] = at(bytes, start)?;
                Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
            };
            Some((side(24)?, side(27)?))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(at(bytes, 21)?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => {
            let side = |start| Some(u32::from(u16::from_le_bytes(at(bytes, start)?) & 0x3fff));
            Some((side(26)?, side(28)?))
        }
        _ => None,
    }
}

/// The size in the frame's header, which comes after segments of any length.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut place = 2;
    // Each round goes on by a segment, two bytes at the least.
    loop {
        let [mark, kind] = at(bytes, place)?;
        if mark != 0xff {
            return None;
        }
        match kind {
            // Filling, and marks without a length.
            0xff => place += 1,
            0x01 | 0xd0..=0xd8 => place += 2,
            0xc4 | 0xc8 | 0xcc => {
                place += 2 + usize::from(u16::from_be_bytes(at(bytes, place + 2)?));
            }
            0xc0..=0xcf => {
                let side = |start| Some(u32::from(u16::from_be_bytes(at(bytes, start)?)));
                return Some((side(place + 7)?, side(place + 5)?));
            }
            _ => place += 2 + usize::from(u16::from_be_bytes(at(bytes, place + 2)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, height: u32) -> Image {
        Image {
            media: "image/png",
            width,
            height,
        }
    }

    #[test]
    fn images_are_known_by_their_first_bytes_and_tell_their_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06";
        let gif = b"GIF89a\x80\x02\xe0\x01\0";
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc0\0\x11\x08\x01\xe0\x02\x80\x03";
        let vp8x = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        let vp8l = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x77\0";
        let vp8 = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01";
        let cases: [(&[u8], &str); 6] = [
            (png, "image/png"),
            (gif, "image/gif"),
            (jpeg, "image/jpeg"),
            (vp8x, "image/webp"),
            (vp8l, "image/webp"),
            (vp8, "image/webp"),
        ];
        for (bytes, media) in cases {
            let found = Image::sniff(bytes).unwrap();
            assert_eq!((found.media, found.width, found.height), (media, 640, 480));
            // Cut anywhere, it is an image of unknown size, or none.
            for end in 0..bytes.len() {
                if let Some(cut) = Image::sniff(&bytes[..end]) {
                    assert_eq!(cut.media, media);
                }
            }
        }
        for other in [
            &b""[..],
            b"\x89PNG",
            b"<svg/>",
            b"BM\0\0",
            b"RIFF\0\0\0\0WAVE",
        ] {
            assert_eq!(Image::sniff(other), None);
        }
    }

    #[test]
    fn the_tokens_are_those_that_the_providers_name() {
        let tiles = |width, height| image(width, height).tokens(Detail::High, Counting::Tiles);
        // The examples of OpenAI's documentation.
        assert_eq!(tiles(1024, 1024), 765);
        assert_eq!(tiles(2048, 4096), 1105);
        assert_eq!(tiles(512, 512), 255);
        assert_eq!(image(4096, 8192).tokens(Detail::Low, Counting::Tiles), 85);
        // And of Anthropic's.
        let area = |width, height| image(width, height).tokens(Detail::High, Counting::Area);
        assert_eq!(area(200, 200), 54);
        assert_eq!(area(1000, 1000), 1334);
        assert!(area(8000, 8000) <= 1568 * 1568 / 750 + 1);
        // Unknown sizes cost what the largest do.
        assert!(tiles(0, 0) >= 765 && area(0, 0) > 3000);
    }
}
