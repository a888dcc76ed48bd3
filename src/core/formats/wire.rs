//! What a body is sent with: its content type, and the headers that belong to it.
//!
//! Kept with the delivery, so that every attempt sends the same, whatever the config has become. Signatures and the
//! headers that count attempts are not here.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::core::delivery::Parcel;
use crate::core::formats::cloudevents::{attributes, name_of_header};

/// What a header's value may not hold as it is (CloudEvents HTTP protocol binding 1.0.2, section 3.1.3.2): blanks,
/// double quotes, percent signs, and all beyond printable ASCII.
const HELD_BACK: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'%');

/// What a body is sent with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// An envelope, and nothing beside it.
    #[default]
    Json,
    /// JSON of another shape: an item, a payload, a message. Nothing beside it.
    Own,
    /// A whole CloudEvent.
    CloudEvents,
    /// The data of a CloudEvent whose attributes are headers.
    CloudEventsBinary,
}

impl Wire {
    /// The word that a store keeps; none for [`Wire::Json`].
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Own => Some("own"),
            Self::CloudEvents => Some("cloudevents"),
            Self::CloudEventsBinary => Some("cloudevents-binary"),
        }
    }

    /// Reads the word that a store kept; one that nobody knows is plain JSON.
    pub fn of_word(word: Option<&str>) -> Self {
        let all = [Self::Own, Self::CloudEvents, Self::CloudEventsBinary];
        all.into_iter().find(|wire| wire.word() == word).unwrap_or_default()
    }

    /// `content-type`. In the binary mode it is that of the data, and stands for `datacontenttype`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Own | Self::CloudEventsBinary => "application/json",
            Self::CloudEvents => "application/cloudevents+json; charset=UTF-8",
        }
    }

    /// `content-type` of a batch (CloudEvents JSON event format, section 4).
    pub fn batch_content_type(self) -> &'static str {
        match self {
            Self::CloudEvents => "application/cloudevents-batch+json; charset=UTF-8",
            Self::Json | Self::Own | Self::CloudEventsBinary => "application/json",
        }
    }

    /// Can bodies of this kind stand in an array, and still be told apart there?
    pub fn can_be_batched(self) -> bool {
        matches!(self, Self::Json | Self::CloudEvents)
    }

    /// The headers that belong to the body, percent-encoded where they must be: each is visible ASCII.
    pub fn headers(self, parcel: &Parcel) -> Vec<(&'static str, String)> {
        match self {
            Self::Json | Self::Own | Self::CloudEvents => Vec::new(),
            Self::CloudEventsBinary => attributes(&parcel.into())
                .into_iter()
                .map(|(name, value)| (name_of_header(name), utf8_percent_encode(&value, &HELD_BACK).to_string()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_encoded_as_the_binding_says() {
        // The binding's own example.
        let encode = |text: &str| utf8_percent_encode(text, &HELD_BACK).to_string();
        assert_eq!(encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encode("50% \"off\"\r\n\u{7f}"), "50%25%20%22off%22%0D%0A%7F");
        assert_eq!(encode("!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"), "!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~");
    }

    #[test]
    fn a_word_is_read_as_it_was_kept() {
        for wire in [Wire::Json, Wire::Own, Wire::CloudEvents, Wire::CloudEventsBinary] {
            assert_eq!(Wire::of_word(wire.word()), wire);
        }
        assert_eq!(Wire::of_word(Some("nonsense")), Wire::Json);
    }
}
