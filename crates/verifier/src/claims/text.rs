use std::borrow::Cow;

use super::plain::Span;
use super::set::ClaimsSet;

/// A string of a claims set: where it stands there or, if it is spelled with escapes, what it says.
#[derive(Clone)]
pub(super) enum Text {
    At(Span),
    Decoded(Box<str>),
}

impl Text {
    pub(super) fn new(text: Cow<'_, str>, set: &ClaimsSet) -> Self {
        match Span::of_part(&text, set.text()) {
            Some(span) => Self::At(span),
            None => Self::Decoded(text.into()),
        }
    }

    pub(super) fn of<'a>(&'a self, set: &'a ClaimsSet) -> &'a str {
        match self {
            Self::At(span) => span.of(set.text()),
            Self::Decoded(text) => text,
        }
    }
}
