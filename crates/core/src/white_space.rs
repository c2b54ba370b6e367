/// What the SimpleJWT endpoints trim from both ends of a name and a password: Unicode's white space, and the four
/// information separators that Python counts among it. Whatever begins or ends so could be set, and never sign in.
pub fn is_trimmed(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}
