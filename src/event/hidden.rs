//! Characters that nobody sees, or that change what is seen around them. In a code they are a fault; in a name they are
//! a sign that somebody hides something.

/// Whether the character steers instead of being shown: controls, those that turn the direction of writing, and those
/// that are ignored where text is drawn.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_bidirectional(c) || is_ignorable(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether the character turns the direction of what stands around it.
#[must_use]
pub const fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the character is drawn as nothing: Unicode's `Default_Ignorable_Code_Point`, and the format characters
/// (`Cf`) beyond it. New ones come into ranges that are reserved for them already.
#[must_use]
pub const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// How a hidden character is shown to people: `U+202E`.
#[must_use]
pub fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}
