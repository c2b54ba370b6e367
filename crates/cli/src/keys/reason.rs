use clap::Args;

/// Why an operator does it.
#[derive(Args)]
pub struct Why {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "operator", value_parser = reason)]
    pub reason: String,
}

/// It is shown in terminals, in one cell of a table.
fn reason(text: &str) -> Result<String, &'static str> {
    const MOST: usize = 200;
    if text.trim().is_empty() {
        return Err("is empty; say why, or leave the option out");
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character in it; write one line of plain text");
    }
    if text.chars().count() > MOST {
        return Err("has more than 200 characters; say it shorter");
    }
    Ok(text.to_owned())
}
