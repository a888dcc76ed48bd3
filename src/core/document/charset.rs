//! From bytes to text: by byte order mark, by the Content-Type's charset, by the XML declaration, else UTF-8.
//!
//! Nothing is replaced: bytes that are none of the charset's are a sentence.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::broken::Broken;

/// Bytes in which an XML declaration must end to be seen.
const DECLARATION_MAX: usize = 256;

/// What to do when nobody says which charset it is.
const NAME_IT: &str = "the vendor must name the charset, as in `Content-Type: text/csv; charset=windows-1252`";

/// The byte order mark of UTF-8.
pub(super) const MARK: &[u8] = "\u{feff}".as_bytes();

/// Is a body that begins so UTF-8, as far as that is said?
pub(super) fn is_utf8(beginning: &[u8], header: Option<&str>) -> bool {
    match Encoding::for_bom(beginning) {
        Some((encoding, _)) => encoding == UTF_8,
        None => header.and_then(known).is_none_or(|encoding| encoding == UTF_8),
    }
}

/// A large body is not the UTF-8 that it should be.
pub(super) fn not_utf8(at: usize) -> Broken {
    Broken::whole(format!("it is not UTF-8, which it has to be where it names no charset (byte {at})")).hint(NAME_IT)
}

/// A body of text.
pub(super) fn decode<'a>(body: &'a [u8], header: Option<&str>) -> Result<Cow<'a, str>, Broken> {
    decode_as(body, header, None)
}

/// A body of XML, which may name its charset itself. The header goes before (RFC 7303, section 3), unless the bytes
/// are none of its charset's.
pub(super) fn decode_xml<'a>(body: &'a [u8], header: Option<&str>) -> Result<Cow<'a, str>, Broken> {
    match body {
        [b'<', 0, b'?', 0, ..] => decode_as(body, Some("utf-16le"), None),
        [0, b'<', 0, b'?', ..] => decode_as(body, Some("utf-16be"), None),
        _ => decode_as(body, header, declared(body)),
    }
}

/// A body of JSON: UTF-8 whatever its header says (RFC 8259, section 8.1); another charset where it can't be that. What
/// is left as it is may still be no UTF-8: whoever reads it says so.
pub(super) fn json(body: Bytes, header: Option<&str>) -> Result<Bytes, Broken> {
    let marked = matches!(Encoding::for_bom(&body), Some((encoding, _)) if encoding != UTF_8);
    let other = header.and_then(known).is_some_and(|encoding| encoding != UTF_8);
    if marked || (other && std::str::from_utf8(&body).is_err()) {
        return Ok(Bytes::from(decode(&body, header)?.into_owned()));
    }
    Ok(body)
}

fn decode_as<'a>(body: &'a [u8], header: Option<&str>, declared: Option<&str>) -> Result<Cow<'a, str>, Broken> {
    if let Some((encoding, mark)) = Encoding::for_bom(body) {
        return text(encoding, &body[mark..]).ok_or_else(|| wrong(encoding, &body[mark..], "its byte order mark says"));
    }
    // A declaration that can be read is none of UTF-16, whatever it says.
    let declared = declared.and_then(known).filter(|encoding| *encoding != UTF_16BE && *encoding != UTF_16LE);
    let named = [(header.and_then(known), "its Content-Type says"), (declared, "its XML declaration says")];
    let mut first = None;
    for (encoding, who) in named.into_iter().filter_map(|(encoding, who)| Some((encoding?, who))) {
        match text(encoding, body) {
            Some(text) => return Ok(text),
            None => first = first.or(Some((encoding, who))),
        }
    }
    match (first, header) {
        (Some((encoding, who)), _) => Err(wrong(encoding, body, who)),
        (None, Some(label)) => text(UTF_8, body).ok_or_else(|| {
            Broken::whole(format!(
                "its charset is `{}`, which is none we know, and it is no UTF-8",
                super::broken::quote(label)
            ))
        }),
        (None, None) => text(UTF_8, body).ok_or_else(|| wrong(UTF_8, body, "it has to be where it names no charset")),
    }
}

/// The charset of a label. ASCII is read as UTF-8, of which it is a part: the web's own rule would make it Windows-1252.
fn known(label: &str) -> Option<&'static Encoding> {
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return Some(UTF_8);
    }
    Encoding::for_label_no_replacement(label.as_bytes())
}

fn text<'a>(encoding: &'static Encoding, body: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(body)
}

/// Where the first bytes are that are none of the charset's.
fn wrong(encoding: &'static Encoding, body: &[u8], who: &str) -> Broken {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(body.len()).unwrap_or(0);
    let mut out = vec![0; room];
    let (result, read, _) = decoder.decode_to_utf8_without_replacement(body, &mut out, true);
    let at = match result {
        DecoderResult::Malformed(length, after) => read.saturating_sub(usize::from(length) + usize::from(after)),
        DecoderResult::InputEmpty | DecoderResult::OutputFull => read,
    };
    let byte = body.get(at).map_or_else(String::new, |byte| format!(" (byte {at} is `0x{byte:02x}`)"));
    Broken::at(body, at, format!("it is not {}, which {who}{byte}", encoding.name())).hint(NAME_IT)
}

/// The charset of an XML declaration.
fn declared(body: &[u8]) -> Option<&str> {
    let head = &body[..body.len().min(DECLARATION_MAX)];
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let head = std::str::from_utf8(&head[..end]).ok()?.trim_start().strip_prefix("<?xml")?;
    let (_, rest) = head.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest[1..].split(quote).next()
}
