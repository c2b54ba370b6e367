/// The text is no audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an audience is a name or URL of 1 to 256 bytes, without control characters")]
pub struct AudienceRefused;

/// Takes a text as the `aud` of access tokens (RFC 7519 §4.1.3), exactly as the services that check them name
/// themselves.
pub fn parse_audience(text: &str) -> Result<String, AudienceRefused> {
    let acceptable = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    acceptable.then(|| text.to_owned()).ok_or(AudienceRefused)
}
